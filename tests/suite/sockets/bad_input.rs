//! Bad input and bad luck: nothing to see, no rights, names that are none, sockets
//! that go while they are looked at, and very many of them.

use std::{
    os::unix::process::CommandExt as _,
    process::{Command, Output},
};

use tempfile::TempDir;
use tests::{Memtrace, Nobody, Program, build, memtrace, needs_tracing};
use tracer::model::{socket_look::Look, sockets::Source};

use super::{Scene, alone, look, of_process, sockets_of};

fn sockets(arguments: &[&str]) -> Output {
    let output = memtrace().arg("sockets").args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("panicked"), "{errors}");
    output
}

fn assert_refused(output: &Output, code: i32, words: &[&str]) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{errors}");
    for word in words {
        assert!(errors.contains(word), "no {word:?} in: {errors}");
    }
}

/// A process without sockets has none: that is said, and is no error.
#[test]
fn process_without_sockets() {
    needs_tracing!();
    let program = Program::ready("idle", &[]);
    let pid = program.pid().to_string();
    for more in [&[][..], &["--sock-diag"]] {
        let output = sockets(&[&["-p", &pid], more].concat());
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(text.contains("has no socket."), "{text}");
        let look = look(&[&["-p", &pid], more].concat());
        let sums = &look.sums;
        assert_eq!(
            (sums.connections, sums.listeners, sums.udp, sums.unix),
            (0, 0, 0, 0)
        );
        assert_eq!(look.pids, [program.pid()]);
        assert_eq!(look.largest, []);
    }
}

/// Pids that no process has, and words that are no pids.
#[test]
fn no_such_process() {
    let pid = std::process::id().to_string();
    for nobody in ["4194303", "2147483647", "4294967295", "0"] {
        assert_refused(
            &sockets(&["-p", nobody]),
            1,
            &["no process has pid", nobody],
        );
        // One of them is enough.
        let both = format!("{pid},{nobody}");
        assert_refused(&sockets(&["-p", &both]), 1, &["no process has pid", nobody]);
    }
    for nonsense in ["", "-5", "12x", "4294967296", ",", "1,,2"] {
        assert_refused(&sockets(&["-p", nonsense]), 2, &["--pid"]);
    }
}

/// A user without rights is told which would do, or what is missing.
#[test]
fn not_root() {
    let nobody = Nobody::new();
    let program = Program::ready("idle", &[]);
    let pid = program.pid().to_string();
    let as_nobody = |arguments: &[&str]| {
        let mut command = nobody.memtrace();
        command.arg("sockets").args(arguments).output().unwrap()
    };
    for arguments in [&[][..], &["-p", &pid], &["--json"]] {
        let output = as_nobody(arguments);
        assert_refused(&output, 1, &["CAP_", "root"]);
        assert!(output.stdout.is_empty());
    }
    // Netlink tells everyone of the sockets, and /proc not whose they are.
    let output = as_nobody(&["--sock-diag"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for words in ["processes may not be looked at", "root"] {
        assert!(text.contains(words), "no {words:?}: {text}");
    }
}

/// What a process calls itself does not reach the terminal as it is.
#[test]
fn name_is_escaped() {
    needs_tracing!();
    let _alone = alone();
    let mut command = Command::new(build("sockets"));
    let server = Program::ready_as(command.arg0("\u{1b}]0;owned\u{7}\u{1b}[31m\u{202e}red\nline"));
    let client = Program::ready_as(&mut Command::new(build("sockets")));
    let mut scene = Scene::of(server, client);
    scene.connect(1, 3, 7, 0);
    scene.server.ask("flood 1");
    let pid = scene.server.pid().to_string();
    for arguments in [&[][..], &["-p", &pid]] {
        let output = sockets(arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("red"), "{text}");
        let bad = |c: &char| (c.is_control() && *c != '\n') || *c == '\u{202e}';
        assert_eq!(text.chars().find(bad), None, "{text:?}");
        assert!(!text.lines().any(|line| line.starts_with("line")), "{text}");
    }
}

/// Sockets come and go by the thousand while they are looked at: no look fails, and
/// none finds more than there can be.
#[test]
fn sockets_that_vanish() {
    needs_tracing!();
    let _alone = alone();
    let mut scene = Scene::new();
    scene.server.ask("churn");
    scene.client.ask("churn");
    for turn in 0..20 {
        let arguments = if turn % 2 == 0 {
            &[][..]
        } else {
            &["--sock-diag"]
        };
        let look = look(arguments);
        for program in [&scene.server, &scene.client] {
            let sums = of_process(&look, program.pid()).sums;
            // Two ends, while one is made or goes; of 5,000 bytes each.
            assert!(sums.connections <= 4 && sums.listeners <= 2, "{sums:?}");
            assert!(sums.tcp_buffers() <= 4 * 20_000, "{sums:?}");
        }
    }
    for program in [&mut scene.server, &mut scene.client] {
        let rounds = program.ask("calm").value("rounds");
        assert!(rounds > 100, "{rounds}");
    }
}

/// Twenty thousand sockets in one look.
#[test]
fn very_many() {
    needs_tracing!();
    let _alone = alone();
    const CONNECTIONS: u64 = 10_000;
    let mut scene = Scene::new();
    scene.connect(1, CONNECTIONS, 1, 0);
    scene.client.ask("write 1 1000 1000");
    for arguments in [&[][..], &["--sock-diag"]] {
        let look = look(arguments);
        for (program, payload) in [(&scene.server, 1000), (&scene.client, 0)] {
            let sums = of_process(&look, program.pid()).sums;
            assert_eq!(sums.connections, CONNECTIONS, "{arguments:?}");
            assert!(sums.tcp_buffers() >= CONNECTIONS * payload, "{sums:?}");
        }
        assert!(look.largest.len() <= 20);
        assert!(look.host_sums.connections >= 2 * CONNECTIONS);
    }
}

/// A hundred thousand sockets: each is seen, and what they hold is what the kernel
/// accounts, in a look and in a trace.
#[test]
fn a_hundred_thousand() {
    needs_tracing!();
    let _alone = alone();
    const SCENES: u64 = 4;
    const CONNECTIONS: u64 = 50_000 / SCENES;
    let mut scenes: Vec<_> = (0..SCENES).map(|_| Scene::new()).collect();
    for scene in &mut scenes {
        scene.connect(1, CONNECTIONS, 1, 0);
        scene.client.ask("write 1 1000 1000");
    }
    for arguments in [&[][..], &["--sock-diag"]] {
        let look = look(arguments);
        for scene in &scenes {
            for (program, payload) in [(&scene.server, 1000), (&scene.client, 0)] {
                let sums = of_process(&look, program.pid()).sums;
                assert_eq!(sums.connections, CONNECTIONS, "{arguments:?}");
                assert!(sums.tcp_buffers() >= CONNECTIONS * payload, "{sums:?}");
            }
        }
        let host = &look.host;
        let allowed = (host.tcp_unaccounted_bytes).max(host.tcp_accounted_bytes / 100);
        let unexplained = look.unexplained_bytes.unsigned_abs();
        assert!(unexplained <= allowed, "{unexplained} of {host:?}");
        let is_loss = |note: &&String| note.contains("left out") || note.contains("incomplete");
        assert_eq!(look.notes.iter().find(is_loss), None);
    }
    let finished = Memtrace::attach(scenes[0].server.pid(), &["-d", "2s"]).finish();
    let report = finished.report();
    let sums = &sockets_of(&report).last.sums;
    assert_eq!(sums.connections, CONNECTIONS);
    assert!(sums.receive_bytes >= CONNECTIONS * 1000, "{sums:?}");
}

/// memtrace where an empty directory stands in the place of the kernel's types, in a
/// mount namespace of its own.
fn without_types(arguments: &[&str]) -> Output {
    let script = "mount -t tmpfs none /sys/kernel/btf && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]);
    command.arg(tests::binary()).args(arguments);
    // Where a trace would put its files.
    let directory = TempDir::new().unwrap();
    let output = command.current_dir(directory.path()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("panicked"), "{errors}");
    output
}

/// A kernel that does not tell its types: the sockets are read by netlink, and it is
/// said why; a trace and `doctor` say what is missing.
#[test]
fn no_kernel_types() {
    needs_tracing!();
    const TYPES: &str = "/sys/kernel/btf/vmlinux";
    let program = Program::ready("idle", &[]);
    let pid = program.pid().to_string();
    for arguments in [&["sockets"][..], &["sockets", "-p", &pid]] {
        let output = without_types(arguments);
        let text = String::from_utf8_lossy(&output.stdout).replace('\n', " ");
        assert!(output.status.success(), "{output:?}");
        for words in ["netlink (sock_diag)", TYPES, "No such file"] {
            assert!(text.contains(words), "no {words:?}: {text}");
        }
    }
    let output = without_types(&["sockets", "--json"]);
    let look: Look = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(look.source, Source::SockDiag);
    let told = look.notes.iter().filter(|note| note.contains(TYPES));
    assert_eq!(told.count(), 1, "{:?}", look.notes);
    for arguments in [&["-p", &pid][..], &["run", "--", "/bin/true"]] {
        let output = without_types(arguments);
        assert_refused(&output, 1, &[TYPES, "CONFIG_DEBUG_INFO_BTF"]);
    }
    let doctor = without_types(&["doctor"]);
    let text = String::from_utf8_lossy(&doctor.stdout).replace('\n', " ");
    for words in [TYPES, "CONFIG_DEBUG_INFO_BTF", "sock_diag"] {
        assert!(text.contains(words), "no {words:?}: {text}");
    }
    assert!(!text.contains("memtrace works here"), "{text}");
}
