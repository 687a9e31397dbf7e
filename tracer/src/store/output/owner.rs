//! Whose the outputs shall be.

/// The user behind sudo, to whom outputs are given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Owner {
    /// The user who called sudo: `SUDO_UID` and `SUDO_GID` from `variable`,
    /// believed only where memtrace runs as root and can give files away.
    /// `None` where there is nobody to give anything to.
    #[must_use]
    pub fn behind_sudo(
        effective_uid: u32,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Option<Self> {
        if effective_uid != 0 {
            return None;
        }
        let id = |name| variable(name).as_deref().and_then(parse);
        let owner = Self {
            uid: id("SUDO_UID")?,
            gid: id("SUDO_GID")?,
        };
        (owner.uid != 0).then_some(owner)
    }
}

/// A decimal id; the largest number means "none" to the kernel.
fn parse(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| digits && *id != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behind(euid: u32, uid: Option<&str>, gid: Option<&str>) -> Option<Owner> {
        Owner::behind_sudo(euid, |name| match name {
            "SUDO_UID" => uid.map(str::to_owned),
            "SUDO_GID" => gid.map(str::to_owned),
            _ => None,
        })
    }

    /// Under sudo the outputs go to who called it.
    #[test]
    fn finds_the_user_behind_sudo() {
        let owner = Some(Owner {
            uid: 1000,
            gid: 100,
        });
        assert_eq!(behind(0, Some("1000"), Some("100")), owner);
    }

    /// Without root, without both ids, or with ids that are none, nothing is given away.
    #[test]
    fn believes_only_whole_ids() {
        assert_eq!(behind(1000, Some("1001"), Some("100")), None);
        assert_eq!(behind(0, None, None), None);
        assert_eq!(behind(0, Some("1000"), None), None);
        assert_eq!(behind(0, Some("0"), Some("0")), None);
        for bad in ["", "-1", "+7", " 7", "7x", "4294967295", "4294967296", "٣"] {
            assert_eq!(behind(0, Some(bad), Some("100")), None, "{bad:?}");
            assert_eq!(behind(0, Some("1000"), Some(bad)), None, "{bad:?}");
        }
    }
}
