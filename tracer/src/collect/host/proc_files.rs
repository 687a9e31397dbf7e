//! What is taken from a process's files in `/proc`: pure, over their bytes
//! (Documentation/filesystems/proc.rst). A process writes its own name into them.

/// `PF_KTHREAD` (include/linux/sched.h).
const KERNEL_THREAD: u64 = 0x0020_0000;

/// What is taken from `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// Field 22, clock ticks since boot.
    pub start_ticks: u64,
    /// It is one of the kernel's own, without memory.
    pub is_kernel_thread: bool,
}

/// Reads it; `None`: it is no such file.
#[must_use]
pub fn stat(text: &[u8]) -> Option<Stat> {
    // The name before may hold anything, the last `)` is its end.
    let name_end = text.iter().rposition(|byte| *byte == b')')?;
    let mut fields = words(text.get(name_end + 1..)?);
    // Fields from 3 on: state; flags are 9, the start 22.
    let flags = number(fields.nth(6)?)?;
    Some(Stat {
        is_kernel_thread: flags & KERNEL_THREAD != 0,
        start_ticks: number(fields.nth(12)?)?,
    })
}

/// Second field of `/proc/PID/statm`: resident pages. From Linux 6.2 on up to a few pages a
/// thread behind the truth.
#[must_use]
pub fn resident_pages(text: &[u8]) -> Option<u64> {
    number(words(text).nth(1)?)
}

/// What is taken from `/proc/PID/status`. Bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// `Name`: changes with an exec.
    pub name: Vec<u8>,
    /// `VmHWM`.
    pub peak: u64,
    /// `VmRSS`.
    pub resident: u64,
    /// `RssAnon`.
    pub anonymous: u64,
    /// `RssFile`.
    pub files: u64,
    /// `RssShmem`.
    pub shared: u64,
    /// `VmSwap`.
    pub swapped: u64,
}

/// Reads it into `status`; false: the process has no memory any more.
pub fn status(text: &[u8], status: &mut Status) -> bool {
    let mut has_memory = false;
    let mut name = std::mem::take(&mut status.name);
    name.clear();
    *status = Status {
        name,
        ..Status::default()
    };
    for line in text.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (key, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let to = match key {
            b"Name" => {
                status.name.extend_from_slice(value);
                continue;
            }
            b"VmHWM" => &mut status.peak,
            b"VmRSS" => {
                has_memory = true;
                &mut status.resident
            }
            b"RssAnon" => &mut status.anonymous,
            b"RssFile" => &mut status.files,
            b"RssShmem" => &mut status.shared,
            b"VmSwap" => &mut status.swapped,
            _ => continue,
        };
        *to = kibibytes(value).unwrap_or(0);
    }
    has_memory
}

/// `1234 kB`, in bytes.
pub(super) fn kibibytes(value: &[u8]) -> Option<u64> {
    number(words(value).next()?)?.checked_mul(1024)
}

pub(super) fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
}

pub(super) fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A name that looks like fields moves none of them.
    #[test]
    fn a_name_moves_no_field() {
        let text = b"77 (a) S 1 2 (b) R 1 77 77 0 -1 4194560 2 0 0 0 5 6 0 0 20 0 1 0 4242 1 2";
        let found = stat(text).unwrap();
        assert_eq!(found.start_ticks, 4242);
        assert!(!found.is_kernel_thread);
        let thread = b"2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 3 0 0";
        assert!(stat(thread).unwrap().is_kernel_thread);
    }

    /// Of this process what `/proc` says is plausible, and the parts are the whole.
    #[test]
    fn reads_this_process() {
        let own = std::fs::read("/proc/self/stat").unwrap();
        assert!(stat(&own).unwrap().start_ticks > 0);
        let own = std::fs::read("/proc/self/statm").unwrap();
        assert!((100..1 << 24).contains(&resident_pages(&own).unwrap()));
        let mut found = Status::default();
        assert!(status(
            &std::fs::read("/proc/self/status").unwrap(),
            &mut found
        ));
        assert!(found.peak >= found.resident && found.resident > 1 << 20);
        assert_eq!(found.resident, found.anonymous + found.files + found.shared);
        // One that has ended tells of no memory.
        assert!(!status(b"Name:\tx\nState:\tZ (zombie)\n", &mut found));
    }

    proptest! {
        /// No bytes make them panic.
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = (stat(&bytes), resident_pages(&bytes));
            let _ = status(&bytes, &mut Status::default());
        }
    }
}
