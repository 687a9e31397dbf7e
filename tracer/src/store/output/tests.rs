use std::fs::{self as std_fs, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::*;
use crate::{render::sample, store::small_disk::SmallDisk};

const NAMES: [&str; 10] = [
    "fragmentation.svg",
    "leak.svg",
    "live.folded",
    "live.svg",
    "mappings.svg",
    "profile.pb.gz",
    "recording.memtrace",
    "report.html",
    "report.json",
    "sockets.svg",
];

fn entries(path: &Path) -> Vec<String> {
    let mut names: Vec<String> = std_fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    std_fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A trace leaves its ten outputs, whole, private, and nothing else.
#[test]
fn writes_all_outputs() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("out");
    let report = sample::small();
    let output = OutputDir::create(&path, None).unwrap();
    assert_eq!(entries(&path), Vec::<String>::new());
    let written = output.write_all(&report).unwrap();
    let names = [
        "report.html",
        "live.svg",
        "leak.svg",
        "fragmentation.svg",
        "mappings.svg",
        "sockets.svg",
        "live.folded",
        "profile.pb.gz",
        "report.json",
        "recording.memtrace",
    ];
    assert_eq!(written, names.map(|name| path.join(name)));
    assert_eq!(entries(&path), NAMES);
    assert_eq!(mode(&path), 0o700);
    for name in NAMES {
        assert_eq!(mode(&path.join(name)), 0o600, "{name}");
    }
    assert_eq!(
        recording::read_recording(&path.join("recording.memtrace")).unwrap(),
        report
    );
    assert_eq!(
        json::read(&std_fs::read(path.join("report.json")).unwrap()).unwrap(),
        report
    );
    assert!(
        std_fs::read_to_string(path.join("live.folded"))
            .unwrap()
            .contains(";leak_buffer;")
    );
    assert!(
        std_fs::read_to_string(path.join("live.svg"))
            .unwrap()
            .ends_with("</svg>")
    );
}

/// A directory that is there is taken with what it holds; outputs of an older trace are replaced,
/// and a link among them is replaced too, not followed.
#[test]
fn takes_a_directory_that_is_there() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("out");
    std_fs::create_dir(&path).unwrap();
    std_fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    let precious = place.path().join("precious");
    std_fs::write(&precious, "mine").unwrap();
    std_fs::write(path.join("report.json"), "old").unwrap();
    std_fs::write(path.join("other"), "mine").unwrap();
    symlink(&precious, path.join("live.svg")).unwrap();
    let output = OutputDir::create(&path.join("."), None).unwrap();
    output.write_all(&sample::small()).unwrap();
    assert_eq!(std_fs::read_to_string(&precious).unwrap(), "mine");
    assert_eq!(std_fs::read_to_string(path.join("other")).unwrap(), "mine");
    assert!(
        std_fs::symlink_metadata(path.join("live.svg"))
            .unwrap()
            .is_file()
    );
    assert_eq!(mode(&path), 0o755);
    output.discard();
    assert_eq!(entries(&path).len(), NAMES.len() + 1);
}

/// A trace that never began leaves no empty directory; one with outputs stays.
#[test]
fn discards_only_what_is_empty_and_its_own() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("out");
    OutputDir::create(&path, None).unwrap().discard();
    assert!(!path.exists());
    std_fs::create_dir(&path).unwrap();
    OutputDir::create(&path, None).unwrap().discard();
    assert!(path.exists());
}

/// Each place that cannot be used is refused before the trace, named, with what to do.
#[test]
fn refuses_bad_places() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    std_fs::write(at("file"), "").unwrap();
    std_fs::create_dir(at("directory")).unwrap();
    symlink(at("directory"), at("link")).unwrap();
    symlink(at("nowhere"), at("dangling")).unwrap();
    for (name, problem) in [
        ("file", "exists and is not a directory"),
        ("link", "is a symbolic link"),
        ("dangling", "is a symbolic link"),
        ("missing/out", "its parent is no directory that exists"),
        ("file/out", "its parent is no directory that exists"),
    ] {
        let error = OutputDir::create(&at(name), None).unwrap_err().to_string();
        let path = at(name).display().to_string();
        assert!(
            error.contains(problem) && error.contains(&path),
            "{name}: {error}"
        );
    }
    assert_eq!(entries(&at("directory")), Vec::<String>::new());
}

/// As root, outputs go to the user behind sudo, and a stranger's directory is not written to.
#[test]
fn gives_files_to_the_user_behind_sudo() {
    if !is_root() {
        eprintln!("skipped gives_files_to_the_user_behind_sudo: not root");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("out");
    let owner = Owner {
        uid: 12_345,
        gid: 23_456,
    };
    OutputDir::create(&path, Some(owner))
        .unwrap()
        .write_all(&sample::small())
        .unwrap();
    for name in [".", "live.svg", "recording.memtrace"] {
        let metadata = std_fs::metadata(path.join(name)).unwrap();
        assert_eq!(
            (metadata.uid(), metadata.gid()),
            (owner.uid, owner.gid),
            "{name}"
        );
    }
    // The same user again, in the directory that is now theirs.
    OutputDir::create(&path, Some(owner))
        .unwrap()
        .write_all(&sample::small())
        .unwrap();
    let stranger = Owner {
        uid: 54_321,
        gid: 1,
    };
    for other in [Some(stranger), None] {
        let error = OutputDir::create(&path, other).unwrap_err();
        assert!(
            matches!(error, OutputError::NotOurs { uid: 12_345, .. }),
            "{error:?}"
        );
    }
    // A directory of root's is used, but stays root's.
    let kept = place.path().join("kept");
    std_fs::create_dir(&kept).unwrap();
    OutputDir::create(&kept, Some(owner))
        .unwrap()
        .write_all(&sample::small())
        .unwrap();
    assert_eq!(std_fs::metadata(&kept).unwrap().uid(), 0);
    assert_eq!(
        std_fs::metadata(kept.join("live.svg")).unwrap().uid(),
        owner.uid
    );
}

/// One output that fails is named; the others are written, and nothing half-made stays.
#[test]
fn one_failure_does_not_spoil_the_others() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("out");
    let output = OutputDir::create(&path, None).unwrap();
    std_fs::create_dir(path.join("live.svg")).unwrap();
    let errors = output.write_all(&sample::small()).unwrap_err();
    assert_eq!(errors.written.len(), NAMES.len() - 1);
    assert_eq!(errors.errors.len(), 1);
    let text = errors.to_string();
    assert!(
        text.contains(&format!("cannot write {}", path.join("live.svg").display())),
        "{text}"
    );
    assert!(text.contains("`memtrace report "), "{text}");
    assert_eq!(entries(&path), NAMES);
}

/// On a full disk each output that finds no room says so, nothing half-made stays, older outputs
/// stay whole, and the recording, which needs least, is there.
#[test]
fn full_disk() {
    let Some(disk) = SmallDisk::mount("size=64k") else {
        eprintln!("skipped full_disk: mount is not permitted here");
        return;
    };
    let path = disk.path().join("out");
    let output = OutputDir::create(&path, None).unwrap();
    std_fs::write(path.join("report.json"), "older").unwrap();
    let errors = output.write_all(&sample::node_sized(100)).unwrap_err();
    assert!(
        errors.written.contains(&path.join("recording.memtrace")),
        "{errors}"
    );
    assert!(
        errors
            .errors
            .iter()
            .all(|e| matches!(e, OutputError::StorageFull { .. }))
    );
    let text = errors.to_string();
    let expected = format!(
        "no space left for {}; free some",
        path.join("report.json").display()
    );
    assert!(text.contains(&expected), "{text}");
    assert_eq!(
        std_fs::read_to_string(path.join("report.json")).unwrap(),
        "older"
    );
    assert!(
        entries(&path)
            .iter()
            .all(|name| NAMES.contains(&name.as_str()))
    );
}

/// A file system that cannot be written to is refused before the trace.
#[test]
fn read_only_disk() {
    let Some(disk) = SmallDisk::mount("size=64k,ro") else {
        eprintln!("skipped read_only_disk: mount is not permitted here");
        return;
    };
    for path in [disk.path().join("out"), disk.path().to_owned()] {
        let error = OutputDir::create(&path, None).unwrap_err();
        assert!(matches!(error, OutputError::Denied { .. }), "{error:?}");
        assert!(error.to_string().contains(&path.display().to_string()));
    }
}

/// The default name is plain whatever the command is called.
#[test]
fn names_directories() {
    for (command, name) in [
        ("node", "memtrace-node-42-20261120T195807Z"),
        (
            "/usr/bin/python3.11",
            "memtrace-python3.11-42-20261120T195807Z",
        ),
        (
            "-bash\u{1b}[2J; rm",
            "memtrace--bash__2J__rm-42-20261120T195807Z",
        ),
        ("/", "memtrace-process-42-20261120T195807Z"),
    ] {
        assert_eq!(
            default_name(command, 42, "2026-11-20T19:58:07.123Z"),
            Path::new(name)
        );
        assert_eq!(
            default_name(command, 42, "2026-11-20T19:58:07Z"),
            Path::new(name)
        );
    }
    assert!(default_name(&"x".repeat(5_000), 42, "").as_os_str().len() < 100);
}
