//! What a target may put in a file's place.

use std::os::unix::fs::{chown, symlink};
use std::os::unix::net::UnixListener;
use std::sync::mpsc;

use tempfile::TempDir;

use super::*;

fn own() -> u32 {
    std::process::id()
}

fn refused_kind(path: &Path) -> &'static str {
    match open_in_root(own(), path) {
        Err(OpenError::NotRegular { kind, .. }) => kind,
        other => panic!("{other:?}"),
    }
}

/// A regular file opens, and what is nowhere says so.
#[test]
fn regular_files_open() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("object");
    std::fs::write(&path, "content").unwrap();
    let file = open_in_root(own(), &path).unwrap();
    assert_eq!(io::read_to_string(file).unwrap(), "content");
    let missing = open_in_root(own(), &directory.path().join("none")).unwrap_err();
    assert!(missing.is_missing());
    assert!(matches!(
        open_in_root(u32::MAX >> 2, &path),
        Err(OpenError::NoRoot { .. })
    ));
}

/// A FIFO in a perf map's place hung another tool for ever; nothing but a
/// regular file is even opened.
#[test]
fn other_kinds_are_told_apart_without_opening_them() {
    let directory = TempDir::new().unwrap();
    let at = |name| directory.path().join(name);
    rustix::fs::mkfifoat(CWD, at("fifo"), Mode::RUSR | Mode::WUSR).unwrap();
    symlink("/etc/passwd", at("link")).unwrap();
    let _listener = UnixListener::bind(at("socket")).unwrap();
    assert_eq!(refused_kind(&at("fifo")), "a FIFO");
    assert_eq!(refused_kind(&at("link")), "a symbolic link");
    assert_eq!(refused_kind(&at("socket")), "a socket");
    assert_eq!(refused_kind(directory.path()), "a directory");
    assert_eq!(refused_kind(Path::new("/dev/zero")), "a character device");
}

/// A link of /proc that leads to an open file is no way around the root.
#[test]
fn magic_links_on_the_way_are_refused() {
    let error = open_in_root(own(), Path::new("/proc/self/root/etc/passwd")).unwrap_err();
    assert!(matches!(error, OpenError::Unopenable { .. }), "{error:?}");
}

/// More than is ever mapped is refused before anyone maps it.
#[test]
fn overlong_files_are_refused() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("sparse");
    let file = File::create(&path).unwrap();
    file.set_len(MAX_FILE_BYTES).unwrap();
    assert!(open_in_root(own(), &path).is_ok());
    file.set_len(MAX_FILE_BYTES + 1).unwrap();
    let error = open_in_root(own(), &path).unwrap_err();
    assert!(matches!(error, OpenError::TooLarge { bytes, .. } if bytes == MAX_FILE_BYTES + 1));
}

/// Anyone may put a file into `/tmp`: only the target's user and root are believed.
#[test]
fn perf_maps_of_strangers_are_not_believed() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    // No process has a number above 2^22.
    let namespace_pid = (1 << 22) + own();
    let path = format!("/tmp/perf-{namespace_pid}.map");
    std::fs::write(&path, "1000 10 name\n").unwrap();
    let open = |user| open_perf_map(own(), namespace_pid, user);
    chown(&path, Some(1234), None).unwrap();
    let by_its_owner = open(1234);
    let by_another = open(1235);
    chown(&path, Some(0), None).unwrap();
    let written_by_root = open(1235);
    std::fs::remove_file(&path).unwrap();
    assert!(by_its_owner.is_ok() && written_by_root.is_ok());
    assert!(matches!(
        by_another,
        Err(OpenError::ForeignOwner {
            owner: 1234,
            expected: 1235,
            ..
        })
    ));
    assert!(open(0).unwrap_err().is_missing());
}

/// In a container, links and `..` lead to the container's files, never to the host's.
#[test]
fn the_targets_root_is_not_left() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let root = TempDir::new().unwrap();
    std::fs::create_dir(root.path().join("lib")).unwrap();
    std::fs::write(root.path().join("lib/object"), "inside").unwrap();
    symlink("/lib", root.path().join("absolute")).unwrap();
    symlink("../../../../../../../lib", root.path().join("climbing")).unwrap();
    let outside = TempDir::new().unwrap();
    std::fs::write(outside.path().join("object"), "outside").unwrap();
    symlink(outside.path(), root.path().join("outside")).unwrap();

    // A thread may have a root of its own, and is found under its own number.
    let (number, numbers) = mpsc::channel();
    let (done, until_done) = mpsc::channel::<()>();
    let new_root = root.path().to_owned();
    let thread = std::thread::spawn(move || {
        // SAFETY: this thread alone stops sharing its root and working
        // directory; it opens nothing afterwards.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_FS) }, 0);
        std::os::unix::fs::chroot(new_root).unwrap();
        number.send(rustix::thread::gettid()).unwrap();
        let _closed = until_done.recv();
    });
    let confined = numbers
        .recv()
        .unwrap()
        .as_raw_nonzero()
        .get()
        .unsigned_abs();
    let content = |path: &str| {
        let file = open_in_root(confined, Path::new(path)).ok()?;
        io::read_to_string(file).ok()
    };
    for path in [
        "/lib/object",
        "/absolute/object",
        "/climbing/object",
        "/../../lib/object",
    ] {
        assert_eq!(content(path).as_deref(), Some("inside"), "{path}");
    }
    assert_eq!(content("/outside/object"), None);
    drop(done);
    thread.join().unwrap();
}
