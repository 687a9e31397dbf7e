//! Groups of processes as the kernel accounts their memory: cgroup v2's files
//! (Documentation/admin-guide/cgroup-v2.rst), and v1's of the same meaning.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Component, Path, PathBuf},
};

use super::{
    memory::value_of,
    proc_files::{number, words},
};

/// A group's files are shorter, but for `memory.stat` of kernels to come.
const FILE_BYTES: u64 = 16 << 10;

/// Where the groups are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hierarchy {
    root: Option<PathBuf>,
    is_first_version: bool,
}

/// What a group says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupMemory {
    /// `memory.current`; `None`: not to be had, as at the root.
    pub memory: Option<u64>,
    /// `anon` of `memory.stat`.
    pub anonymous: Option<u64>,
    /// `file`.
    pub file: Option<u64>,
    /// `sock`.
    pub sockets: Option<u64>,
    /// `memory.max`.
    pub limit: Option<u64>,
    /// `oom_kill` of `memory.events`, since the group was made.
    pub oom_kills: u64,
}

impl Hierarchy {
    /// Finds the memory controller's.
    #[must_use]
    pub fn find() -> Self {
        Self::of(&fs::read_to_string("/proc/self/mounts").unwrap_or_default())
    }

    fn of(mounts: &str) -> Self {
        let mut unified = None;
        for line in mounts.lines() {
            let mut fields = line.split(' ');
            let (Some(at), Some(kind), Some(options)) =
                (fields.nth(1), fields.next(), fields.next())
            else {
                continue;
            };
            if kind == "cgroup" && options.split(',').any(|it| it == "memory") {
                return Self {
                    root: Some(at.into()),
                    is_first_version: true,
                };
            }
            if kind == "cgroup2" && unified.is_none() {
                unified = Some(at.into());
            }
        }
        Self {
            root: unified,
            is_first_version: false,
        }
    }

    /// Asks a group; nothing of one that has gone.
    #[must_use]
    pub fn read(&self, group: &str) -> GroupMemory {
        let Some(directory) = self.directory(group) else {
            return GroupMemory::default();
        };
        let text = |name: &str| read(&directory.join(name));
        if self.is_first_version {
            return first_version(&text);
        }
        let stat = text("memory.stat").unwrap_or_default();
        let has = !stat.is_empty();
        let of = |name: &[u8]| has.then(|| value_of(&stat, name));
        GroupMemory {
            memory: text("memory.current").and_then(|text| only_number(&text)),
            anonymous: of(b"anon"),
            file: of(b"file"),
            sockets: of(b"sock"),
            limit: text("memory.max").and_then(|text| only_number(&text)),
            oom_kills: text("memory.events").map_or(0, |text| value_of(&text, b"oom_kill")),
        }
    }

    /// Within the hierarchy, whatever the path says: one of another namespace begins
    /// with `/..`.
    fn directory(&self, group: &str) -> Option<PathBuf> {
        let path = Path::new(group.strip_prefix('/')?);
        let is_below = |part: Component<'_>| matches!(part, Component::Normal(_));
        (path.components().all(is_below)).then(|| Some(self.root.as_ref()?.join(path)))?
    }
}

/// cgroup v1 (Documentation/admin-guide/cgroup-v1/memory.rst). What it accounts of sockets is
/// not among what `usage_in_bytes` counts.
fn first_version(text: &dyn Fn(&str) -> Option<Vec<u8>>) -> GroupMemory {
    /// No limit is the largest number of pages.
    const UNLIMITED: u64 = 1 << 62;
    let stat = text("memory.stat").unwrap_or_default();
    let has = !stat.is_empty();
    let of = |name: &[u8]| has.then(|| value_of(&stat, name));
    let limit = text("memory.limit_in_bytes").and_then(|text| only_number(&text));
    let sockets = text("memory.kmem.tcp.usage_in_bytes").and_then(|text| only_number(&text));
    GroupMemory {
        memory: text("memory.usage_in_bytes").and_then(|text| only_number(&text)),
        anonymous: of(b"total_rss"),
        file: of(b"total_cache"),
        sockets,
        limit: limit.filter(|limit| *limit < UNLIMITED),
        oom_kills: text("memory.oom_control").map_or(0, |text| value_of(&text, b"oom_kill")),
    }
}

fn only_number(text: &[u8]) -> Option<u64> {
    // `max`: no limit.
    number(words(text).next()?)
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(FILE_BYTES).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// The container's name or id, where the path tells it: 64 hexadecimal digits as Docker,
/// containerd, CRI-O and Podman call theirs (the first 12 of them), or LXC's and
/// systemd-nspawn's names.
#[must_use]
pub fn container(group: &str) -> Option<String> {
    const DIGITS: usize = 64;
    const SHORT: usize = 12;
    for part in group.rsplit('/') {
        let name = part.strip_suffix(".scope").unwrap_or(part);
        if let Some(name) = name.strip_prefix("lxc.payload.") {
            return Some(name.to_owned());
        }
        if let Some(name) = name.strip_prefix("machine-") {
            return Some(name.to_owned());
        }
        let id = name.rsplit(['-', ':']).next().unwrap_or(name);
        if id.len() == DIGITS && id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Some(id.chars().take(SHORT).collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The memory controller's hierarchy is found, of the second version where it has none of
    /// its own.
    #[test]
    fn finds_the_hierarchy() {
        let second = "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n";
        let found = Hierarchy::of(second);
        assert_eq!(found.root.as_deref(), Some(Path::new("/sys/fs/cgroup")));
        assert!(!found.is_first_version);
        let first = "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n\
                     cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n";
        let found = Hierarchy::of(first);
        assert_eq!(
            found.root.as_deref(),
            Some(Path::new("/sys/fs/cgroup/memory"))
        );
        assert!(found.is_first_version);
        assert_eq!(Hierarchy::of("").root, None);
    }

    /// No path leads out of the hierarchy.
    #[test]
    fn stays_within_the_hierarchy() {
        let hierarchy = Hierarchy {
            root: Some("/r".into()),
            is_first_version: false,
        };
        assert_eq!(hierarchy.directory("/a/b"), Some("/r/a/b".into()));
        assert_eq!(hierarchy.directory("/"), Some("/r/".into()));
        for outside in ["/../x", "/a/../../b", "", "a", "//etc"] {
            assert_eq!(hierarchy.directory(outside), None, "{outside}");
        }
    }

    /// Containers are known by how the usual runtimes call their groups.
    #[test]
    fn knows_containers() {
        let id = "0123456789abcdef".repeat(4);
        for path in [
            format!("/docker/{id}"),
            format!("/system.slice/docker-{id}.scope"),
            format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{id}.scope"),
            format!("/machine.slice/libpod-{id}.scope/container"),
        ] {
            assert_eq!(container(&path).as_deref(), Some("0123456789ab"), "{path}");
        }
        assert_eq!(container("/lxc.payload.web").as_deref(), Some("web"));
        assert_eq!(container("/system.slice/web.service"), None);
    }
}
