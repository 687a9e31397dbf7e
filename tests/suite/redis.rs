//! A server in another allocator, which counts itself.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::process::Signal;
use tests::{Memtrace, Process, needs_tracing, wait_until};

/// redis lives in jemalloc, and counts itself: what its values take is what
/// the ledger finds, and after a flush it is gone.
#[test]
fn redis() {
    needs_tracing!();
    const VALUES: u64 = 3000;
    const VALUE_BYTES: u64 = 10_000;
    let directory = tempfile::tempdir().unwrap();
    let socket: PathBuf = directory.path().join("socket");
    let mut redis = Process::start(
        Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(&socket)
            .current_dir(directory.path())
            .stdout(Stdio::null()),
    );
    wait_until("redis listens", || UnixStream::connect(&socket).is_ok());
    let mut ask = Redis::connect(&socket);
    let memtrace = Memtrace::attach(redis.pid(), &[]);
    let before = ask.number("used_memory");
    for key in 0..VALUES {
        let value = "v".repeat(VALUE_BYTES as usize);
        ask.say(&format!("SET key:{key} {value}"), "+OK");
    }
    let grown = ask.number("used_memory") - before;
    let report = memtrace.end().report();
    let allocator = &report.processes[0].allocator;
    assert!(allocator.contains("jemalloc"), "{allocator}");
    assert_eq!(report.loss, []);
    // redis counts what jemalloc rounds up to: a class is at most a fourth more.
    let live = report.totals.counts.live_bytes;
    assert!(live >= VALUES * VALUE_BYTES, "{live}");
    assert!(
        live <= grown + grown / 100 && grown <= live + live / 4,
        "{live} of {grown}"
    );

    let memtrace = Memtrace::attach(redis.pid(), &[]);
    ask.say("FLUSHALL", "+OK");
    let report = memtrace.end().report();
    assert!(
        report.unmatched_frees >= VALUES,
        "{}",
        report.unmatched_frees
    );
    assert_eq!(report.loss, []);
    redis.signal(Signal::TERM);
    assert!(redis.wait().success());
}

/// A connection to redis by its inline commands.
struct Redis(BufReader<UnixStream>);

impl Redis {
    fn connect(socket: &Path) -> Self {
        Self(BufReader::new(UnixStream::connect(socket).unwrap()))
    }

    fn say(&mut self, command: &str, answer: &str) {
        writeln!(self.0.get_mut(), "{command}\r").unwrap();
        assert_eq!(self.line(), answer);
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// A field of `INFO memory`.
    fn number(&mut self, name: &str) -> u64 {
        writeln!(self.0.get_mut(), "INFO memory\r").unwrap();
        let length: usize = self.line()[1..].parse().unwrap();
        let mut text = vec![0; length + 2];
        self.0.read_exact(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let field = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        field.unwrap().parse().unwrap()
    }
}
