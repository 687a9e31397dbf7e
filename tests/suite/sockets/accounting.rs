//! The kernel's allocators of TCP memory, watched by fentry and by kprobe: what they
//! took and gave back is what is held. Only where they can be loaded, see
//! `scripts/test.sh`.

use tests::{Memtrace, Program, needs_tracing, run_memtrace};
use tracer::model::trace_sockets::{Probes, Queue};

use super::{Held, Scene, alone, assert_near, share, sockets_of};

/// Whether such probes can be loaded here. Where not, memtrace says why, by their
/// name, and the test says that it is skipped.
fn can_load(name: &str, probes: Probes) -> bool {
    let mut program = Program::ready("idle", &[]);
    let pid = program.pid().to_string();
    let finished = run_memtrace(&["-p", &pid, "-d", "1s", "--socket-probes", name]);
    program.talk.go();
    assert!(program.end().success());
    let mut reason = finished.stderr.clone();
    if finished.status.success() {
        let report = finished.report();
        let sockets = sockets_of(&report);
        if sockets.probes == probes {
            return true;
        }
        reason = sockets.notes.join("; ");
    }
    let must = std::env::var_os("MEMTRACE_MUST_TRACE").is_some();
    assert!(
        !must && reason.contains(name),
        "cannot load {name}: {reason}"
    );
    let thread = std::thread::current();
    eprintln!("SKIPPED {}: {reason}", thread.name().unwrap_or("?"));
    false
}

/// Every situation, some of which go again: the books balance, and the stacks are
/// those of who sent and who accepted.
fn balances(probes: &str, expected: Probes) {
    let _alone = alone();
    let mut scene = Scene::new();
    scene.connect(1, 30, 1, 0);
    scene.client.ask("write 1 30000 10000");
    let memtrace = Memtrace::attach(scene.server.pid(), &["--socket-probes", probes]);
    scene.server.ask("receive 1 30000");
    scene.client.ask("write 1 50000 1000");
    scene.connect(2, 6, 7, 0);
    scene.server.ask("flood 2");
    scene.connect(3, 3, 8, 0);
    scene.server.ask("flood 3");
    scene.server.ask("close 3");
    scene.connect(4, 30, 1, 0);
    scene.talk(4, 20);
    scene.server.ask("close 4");
    scene.connect_only(5, 20, 1, 0);
    scene.client.ask("write 5 30000 1000");
    let truth = Held::of(&scene.at_server(&scene.settle()));
    let report = memtrace.end().report();
    let sockets = sockets_of(&report);
    assert_eq!(sockets.probes, expected, "{:?}", sockets.notes);

    let books = sockets.accounting.unwrap();
    let taken = books.raised_bytes + books.forced_bytes;
    let grown = books.held_at_end_bytes as i64 - books.held_at_start_bytes as i64;
    let difference = taken as i64 - books.reduced_bytes as i64 - grown;
    assert!(
        difference.unsigned_abs() <= taken / 100,
        "{difference}: {books:?}"
    );
    assert!(
        books.raised_bytes > 0 && books.reduced_bytes > 0,
        "{books:?}"
    );
    assert!(
        grown as u64 >= truth.send + truth.orphan,
        "{books:?} {truth:?}"
    );

    assert_near(sockets.last.sums.tcp_buffers(), truth.total(), 2, "queues");
    for queue in [Queue::Send, Queue::Orphan] {
        let (sent, by_flood) = share(sockets, queue, "flood");
        assert!(
            by_flood * 100 >= sent * 95,
            "{by_flood} of {sent} {queue:?}"
        );
    }
}

/// By fentry (Linux 5.5).
#[test]
fn balances_by_fentry() {
    needs_tracing!();
    if can_load("fentry", Probes::Fentry) {
        balances("fentry", Probes::Fentry);
    }
}

/// By kprobe.
#[test]
fn balances_by_kprobe() {
    needs_tracing!();
    if can_load("kprobe", Probes::Kprobe) {
        balances("kprobe", Probes::Kprobe);
    }
}
