//! Programs that nobody here wrote: memtrace's counts are those of a library
//! that counts from within, by function, to the block and byte.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    process::Command,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tests::{Memtrace, Program, has_program, needs_tracing, run_tool, wait_until};
use tracer::model::Exit;

use crate::counted::Counted;

/// Ends the test where a program is not installed, saying so.
macro_rules! needs_program {
    ($program:expr) => {
        if !has_program($program) {
            let thread = std::thread::current();
            let name = thread.name().unwrap_or("?");
            eprintln!("SKIPPED {name}: {} is not installed", $program);
            return;
        }
    };
}

const PYTHON: &str = "
kept = {str(i): [i] * 20 for i in range(3000)}
big = [bytes(300_000) for _ in range(20)]
grown = bytearray()
for i in range(2000):
    grown += bytes(1000)
for i in range(0, 3000, 2):
    del kept[str(i)]
";

/// python3 as it is: small objects in pools of its own, the rest from malloc.
#[test]
fn python() {
    needs_tracing!();
    let both = Counted::start(&[], &["/usr/bin/python3", "-c", PYTHON]).finish();
    both.assert_equal(1_000);
}

/// python3 with each of its objects from malloc.
#[test]
fn python_without_pools() {
    needs_tracing!();
    let python = ["/usr/bin/python3", "-c", PYTHON];
    let both = Counted::start(&["PYTHONMALLOC=malloc"], &python).finish();
    both.assert_equal(40_000);
}

/// sqlite3 with a table in memory, an index, deletions.
#[test]
fn sqlite() {
    needs_tracing!();
    needs_program!("sqlite3");
    let statements = "
        CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, body BLOB);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
            INSERT INTO t SELECT i, 'name ' || i, zeroblob(i % 500) FROM n;
        CREATE INDEX by_name ON t (name);
        DELETE FROM t WHERE id % 3 = 0;
        SELECT group_concat(name) FROM (SELECT name FROM t ORDER BY body LIMIT 1000);";
    let both = Counted::start(&[], &["sqlite3", ":memory:", statements]).finish();
    both.assert_equal(10_000);
}

const NODE: &str = "
const zlib = require('zlib');
const kept = [];
let rounds = 0;
function round() {
    const body = Buffer.alloc(100_000 + rounds, 'some text that repeats ');
    zlib.deflate(body, (error, packed) => {
        if (error) throw error;
        zlib.gunzip(zlib.gzipSync(packed), (error, whole) => {
            if (error || !whole.equals(packed)) throw error ?? new Error('not the same');
            if (rounds % 4 === 0) kept.push(Buffer.from(body));
            if (++rounds < 150) round();
        });
    });
}
round();
";

/// node with its threads: buffers kept, zlib in the thread pool.
#[test]
fn node() {
    needs_tracing!();
    needs_program!("node");
    let both = Counted::start(&[], &["node", "-e", NODE]).finish();
    both.assert_equal(10_000);
}

/// A compressor with two threads that hand blocks to each other.
#[test]
fn xz() {
    needs_tracing!();
    needs_program!("xz");
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("zeros");
    fs::write(&file, vec![7; 4 << 20]).unwrap();
    let file = file.to_str().unwrap();
    let xz = ["xz", "-1", "-T2", "--block-size=256KiB", "-k", file];
    let both = Counted::start(&[], &xz).finish();
    both.assert_equal(30);
}

/// A compiler: nearly all blocks are still there when it ends.
#[test]
fn compiler() {
    needs_tracing!();
    let directory = TempDir::new().unwrap();
    let preprocessed = directory.path().join("functions.i");
    let preprocessed = preprocessed.to_str().unwrap();
    let source = tests::programs_dir().join("functions.c");
    let source = source.to_str().unwrap();
    let _ = run_tool("gcc", &["-E", "-D_GNU_SOURCE", source, "-o", preprocessed]);
    let compiler = run_tool("gcc", &["-print-prog-name=cc1"]);
    let compiler = [compiler.trim(), "-quiet", "-O2", "-fpreprocessed"];
    let arguments = [preprocessed, "-o", "/dev/null"];
    let both = Counted::start(&[], &[&compiler[..], &arguments].concat()).finish();
    both.assert_equal(10_000);
}

/// A web server with pools of its own, in one process, serving requests.
#[test]
fn nginx() {
    needs_tracing!();
    needs_program!("nginx");
    let directory = TempDir::new().unwrap();
    let place = directory.path().to_str().unwrap();
    let configuration = directory.path().join("nginx.conf");
    fs::write(&configuration, nginx_configuration(place)).unwrap();
    let socket = directory.path().join("socket");
    let nginx = [
        "nginx",
        "-p",
        place,
        "-e",
        "stderr",
        "-c",
        configuration.to_str().unwrap(),
    ];
    let counted = Counted::start(&[], &nginx);
    let mut answered = 0;
    for _ in 0..200 {
        let mut connection = connect(&socket);
        connection
            .write_all(b"GET / HTTP/1.0\r\nHost: here\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answered += usize::from(answer.ends_with("hello"));
    }
    assert_eq!(answered, 200);
    let pid = fs::read_to_string(directory.path().join("pid")).unwrap();
    let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    kill_process(pid, Signal::QUIT).unwrap();
    let both = counted.finish();
    both.assert_equal(500);
}

fn nginx_configuration(place: &str) -> String {
    format!(
        "daemon off; master_process off; user root; pid {place}/pid; error_log stderr;
        events {{}}
        http {{
            access_log off;
            client_body_temp_path {place}/body; proxy_temp_path {place}/proxy;
            fastcgi_temp_path {place}/fastcgi; uwsgi_temp_path {place}/uwsgi;
            scgi_temp_path {place}/scgi;
            server {{ listen unix:{place}/socket; return 200 hello; }}
        }}"
    )
}

fn connect(socket: &Path) -> UnixStream {
    let mut stream = None;
    wait_until("the server listens", || {
        stream = UnixStream::connect(socket).ok();
        stream.is_some()
    });
    let stream = stream.unwrap();
    stream.set_read_timeout(Some(tests::DEADLINE)).unwrap();
    stream
}

/// redis has its memory from jemalloc: the report says that it is not covered,
/// whether it was started or attached to.
#[test]
fn redis() {
    needs_tracing!();
    needs_program!("redis-server");
    let directory = TempDir::new().unwrap();
    let socket = directory.path().join("socket");
    let mut server = Command::new("redis-server");
    server
        .args(["--port", "0", "--save", "", "--unixsocket"])
        .arg(&socket)
        .arg("--dir")
        .arg(directory.path());
    let memtrace = Memtrace::run(&[], &mut server);
    shut_down(&socket);
    let report = memtrace.finish().report();
    assert_eq!(report.processes[0].exit, Some(Exit::Status(0)));
    let names_it = |notes: &[String]| {
        let found = notes
            .iter()
            .any(|note| note.contains("jemalloc") && note.contains("not covered"));
        assert!(found, "{notes:?}");
    };
    names_it(&report.notes);

    fs::remove_file(&socket).ok();
    let mut program = Program::start(&mut server);
    drop(connect(&socket));
    let memtrace = Memtrace::attach(program.pid(), &[]);
    shut_down(&socket);
    names_it(&memtrace.finish().report().notes);
    assert!(program.wait().success());
}

fn shut_down(socket: &Path) {
    let mut connection = connect(socket);
    for number in 0..1000 {
        let command = format!("SET key{number} {number}\r\n");
        connection.write_all(command.as_bytes()).unwrap();
        let mut answer = [0; 5];
        connection.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"+OK\r\n");
    }
    connection.write_all(b"SHUTDOWN NOSAVE\r\n").unwrap();
}
