//! The network namespaces that have a process, and running something in one.
//!
//! `sock_diag` and `iter/tcp` see the namespace of the thread that opens them (see
//! network_namespaces(7)). A namespace without a process, such as one that is only
//! mounted by `ip netns`, is not found, nor one that a single thread has entered.

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    os::{fd::AsFd, unix::fs::MetadataExt as _},
    path::Path,
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::processes::processes;

/// Each is an open file of ours: half of what we may open is left for others.
const SHARE_OF_FILES: u64 = 2;
/// However many files we may open.
const NAMESPACES_MAX: usize = 4096;

/// A network namespace.
#[derive(Debug)]
pub struct Namespace {
    /// Its inode number, as in `/proc/PID/ns/net`.
    pub inode: u32,
    /// A process that was in it.
    pub pid: u32,
    /// Keeps it alive.
    file: File,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Namespaces {
    /// Each once.
    pub all: Vec<Namespace>,
    /// How many more there are: too many at once.
    pub left_out: usize,
    /// Processes that may not be asked.
    pub unreadable: usize,
}

/// Finds the network namespaces of all processes (Linux 3.0).
///
/// # Errors
/// `/proc` cannot be read.
pub fn all() -> io::Result<Namespaces> {
    let mut found = Namespaces::default();
    let mut known = HashSet::new();
    let most = most();
    for pid in processes()? {
        match namespace_of(pid, &mut known, found.all.len() < most) {
            Ok(Seen::New(namespace)) => found.all.push(namespace),
            Ok(Seen::TooMany) => found.left_out += 1,
            Ok(Seen::Known) => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => found.unreadable += 1,
            // It has ended.
            Err(_) => {}
        }
    }
    Ok(found)
}

enum Seen {
    New(Namespace),
    Known,
    TooMany,
}

fn most() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let limit = limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit / SHARE_OF_FILES).unwrap_or(usize::MAX)
    });
    limit.min(NAMESPACES_MAX)
}

fn namespace_of(pid: u32, known: &mut HashSet<u32>, is_room: bool) -> io::Result<Seen> {
    let path = format!("/proc/{pid}/ns/net");
    let link = number(&fs::read_link(&path)?).ok_or(io::ErrorKind::InvalidData)?;
    if known.contains(&link) {
        return Ok(Seen::Known);
    }
    if !is_room {
        known.insert(link);
        return Ok(Seen::TooMany);
    }
    let file = File::open(&path)?;
    // The process may have changed over since.
    let inode = u32::try_from(file.metadata()?.ino()).map_err(io::Error::other)?;
    Ok(match known.insert(inode) {
        true => Seen::New(Namespace { inode, pid, file }),
        false => Seen::Known,
    })
}

/// `net:[4026531840]`
fn number(link: &Path) -> Option<u32> {
    let link = link.to_str()?.strip_prefix("net:[")?;
    link.strip_suffix(']')?.parse().ok()
}

/// Runs something in a network namespace: on a thread of its own that has entered
/// it, or right here if we are in it already. What is opened there stays of that
/// namespace wherever it is used.
///
/// # Errors
/// The namespace cannot be entered (it takes `CAP_SYS_ADMIN` in the user namespace
/// that it belongs to, and in ours), or no thread can be had.
pub fn within<T: Send>(namespace: &Namespace, run: impl FnOnce() -> T + Send) -> io::Result<T> {
    let here = fs::read_link("/proc/thread-self/ns/net")?;
    if number(&here) == Some(namespace.inode) {
        return Ok(run());
    }
    thread::scope(|scope| {
        let inside = thread::Builder::new().spawn_scoped(scope, || {
            let network = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(namespace.file.as_fd(), network)?;
            Ok(run())
        })?;
        inside
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
pub mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// Our own namespace is found once, and entering it does not leave this thread.
    #[test]
    fn own_namespace_needs_no_thread() {
        let own = number(&fs::read_link("/proc/self/ns/net").unwrap()).unwrap();
        let found = all().unwrap();
        let ours: Vec<_> = found.all.iter().filter(|it| it.inode == own).collect();
        assert_eq!(ours.len(), 1);
        let here = thread::current().id();
        assert_eq!(within(ours[0], || thread::current().id()).unwrap(), here);
    }

    /// What runs within another namespace is in it, and this thread is not, also when
    /// the process by which it was found has ended.
    #[test]
    fn another_namespace_is_entered() {
        let Some(mut other) = Other::new() else {
            return;
        };
        other.end();
        let inside = || fs::read_link("/proc/thread-self/ns/net").unwrap();
        let before = inside();
        let entered = within(&other.namespace, inside).unwrap();
        assert_eq!(number(&entered), Some(other.namespace.inode));
        assert_ne!(entered, before);
        assert_eq!(inside(), before);
    }

    /// A network namespace with a process.
    pub struct Other {
        pub namespace: Namespace,
        child: Child,
    }

    impl Other {
        /// None without the rights.
        pub fn new() -> Option<Self> {
            if !rustix::process::geteuid().is_root() {
                return None;
            }
            let mut child = Command::new("unshare")
                .args(["--net", "sh", "-c", "echo; read wait"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut said = [0];
            io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut said).unwrap();
            let found = all().unwrap().all.into_iter();
            let namespace = { found }.find(|it| it.pid == child.id()).unwrap();
            Some(Self { namespace, child })
        }

        /// Its process ends.
        pub fn end(&mut self) {
            drop(self.child.stdin.take());
            self.child.wait().unwrap();
        }
    }

    impl Drop for Other {
        fn drop(&mut self) {
            self.end();
        }
    }
}
