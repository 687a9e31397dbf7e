//! Programs that nobody here wrote, traced from their start, against the count
//! of a library preloaded into them.
//!
//! The two must agree by function, to the block and byte, in what was freed,
//! and in the frees of blocks that nobody saw allocated. Both see the same
//! calls: the program's, its libraries' and the loader's, from the first that
//! reaches libc on (before, the loader has a malloc of its own). What glibc
//! frees by itself when a thread ends does not pass through the library, but
//! is foretold to the block: see `Count::of`.

use std::{fs, process::Command};

use rustix::process::Signal;
use tests::{
    Count, Memtrace, Program, Tally, build, needs_program, needs_tracing, programs_dir, run_tool,
    wait_until,
};
use tracer::model::{LossCause, Report, Site};

/// Traces a program from start to end, beside the counting library, and fails
/// unless the two agree. `drive` does what the program needs to come to its end.
fn assert_agrees(command: &Command, drive: impl FnOnce(&mut Memtrace)) -> Report {
    let directory = tempfile::tempdir().unwrap();
    let (count, mut counted) = Count::of(directory.path(), command);
    let mut memtrace = Memtrace::run(&["--no-follow"], &mut counted).when_ready();
    drive(&mut memtrace);
    let report = memtrace.finish().report();
    let counted = count.read();
    assert_eq!(
        Tally::traced(&report),
        counted,
        "traced (left), counted (right), {:?}",
        report.loss
    );
    assert!(counted.blocks() > 100, "hardly a workload: {counted:?}");
    // A cut stack costs no count.
    let mut loss = report.loss.clone();
    loss.retain(|loss| loss.cause != LossCause::StackTruncated);
    assert_eq!(loss, []);
    report
}

/// node under Buffers and zlib, with its thread pool.
#[test]
fn node() {
    needs_tracing!();
    needs_program!("node");
    let script = programs_dir().join("workload.js");
    let report = assert_agrees(Command::new("node").arg(script), |memtrace| {
        assert_eq!(memtrace.talk().rest(), ["1300"]);
    });
    assert!(report.totals.counts.allocated_blocks > 10_000);
}

/// python3 with threads and zlib.
#[test]
fn python() {
    needs_tracing!();
    needs_program!("/usr/bin/python3");
    let script = programs_dir().join("workload.py");
    assert_agrees(Command::new("/usr/bin/python3").arg(script), |memtrace| {
        assert_eq!(memtrace.talk().rest(), ["20000"]);
    });
}

/// python3 with each of its objects from malloc instead of its pools.
#[test]
fn python_without_pools() {
    needs_tracing!();
    needs_program!("/usr/bin/python3");
    let script = programs_dir().join("workload.py");
    let report = assert_agrees(
        Command::new("/usr/bin/python3")
            .arg(script)
            .env("PYTHONMALLOC", "malloc"),
        |memtrace| assert_eq!(memtrace.talk().rest(), ["20000"]),
    );
    assert!(report.totals.counts.allocated_blocks > 40_000);
}

/// A shell that forks hundreds of times: what its children do is theirs.
#[test]
fn forking_shell() {
    needs_tracing!();
    let script = "
        total=0
        for number in $(seq 300); do
            total=$((total + $(echo $number | tr -d x)))
            (kept=$(printf '%05000d' $number); : ${kept/0/1})
        done
        declare -A kept
        for number in $(seq 3000); do kept[$number]=$total$number; done
        echo $total";
    assert_agrees(Command::new("bash").args(["-c", script]), |memtrace| {
        assert_eq!(memtrace.talk().rest(), ["45150"]);
    });
}

/// Children by vfork run in their parent's memory until they exec, and what
/// a thread starts there is counted where it stands.
#[test]
fn spawning_python() {
    needs_tracing!();
    needs_program!("/usr/bin/python3");
    let script = "
import subprocess, threading
def work():
    for number in range(20):
        subprocess.run(['/bin/true'], check=True)
threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
kept = [bytes(1000 + number) for number in range(5000)]
[thread.join() for thread in threads]
";
    let mut python = Command::new("/usr/bin/python3");
    assert_agrees(
        python.args(["-c", script]).env("PYTHONMALLOC", "malloc"),
        |_| {},
    );
}

/// xz with two threads that hand buffers to each other.
#[test]
fn xz() {
    needs_tracing!();
    needs_program!("xz");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sevens");
    fs::write(&file, vec![7; 4 << 20]).unwrap();
    let mut xz = Command::new("xz");
    xz.args(["-1", "-T2", "--block-size=256KiB"]).arg(&file);
    assert_agrees(&xz, |_| {});
}

/// A compiler, which gives nearly nothing back.
#[test]
fn compiler() {
    needs_tracing!();
    let directory = tempfile::tempdir().unwrap();
    let preprocessed = directory.path().join("functions.i");
    let preprocessed = preprocessed.to_str().unwrap();
    let source = programs_dir().join("functions.c");
    let source = source.to_str().unwrap();
    let _ = run_tool("gcc", &["-E", "-D_GNU_SOURCE", source, "-o", preprocessed]);
    let compiler = run_tool("gcc", &["-print-prog-name=cc1"]);
    let mut compiler = Command::new(compiler.trim());
    compiler.args(["-quiet", "-O2", "-fpreprocessed", preprocessed]);
    assert_agrees(compiler.args(["-o", "/dev/null"]), |_| {});
}

/// sqlite3 with tables, an index and a sort.
#[test]
fn sqlite() {
    needs_tracing!();
    needs_program!("sqlite3");
    let sql = "create table a(b integer, c text);
        with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
        insert into a select i * 7919 % 20011, hex(i) from n;
        create index by_c on a(c);
        select count(*) from (select * from a order by b desc);";
    assert_agrees(
        Command::new("sqlite3").args([":memory:", sql]),
        |memtrace| assert_eq!(memtrace.talk().rest(), ["20000"]),
    );
}

/// nginx serving a file to a few hundred requests.
#[test]
fn nginx() {
    needs_tracing!();
    needs_program!("nginx");
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("index.html"), "x".repeat(100_000)).unwrap();
    let socket = at("socket");
    let configuration = format!(
        "daemon off; master_process off; error_log stderr; pid {pid};
        events {{ worker_connections 64; }}
        http {{ access_log off; gzip on; gzip_types *; root {root};
            client_body_temp_path {root}/a; proxy_temp_path {root}/b; fastcgi_temp_path {root}/c;
            uwsgi_temp_path {root}/d; scgi_temp_path {root}/e;
            server {{ listen unix:{socket}; }} }}",
        pid = at("pid"),
        root = at(""),
    );
    fs::write(at("nginx.conf"), configuration).unwrap();
    let mut command = Command::new("nginx");
    command.args(["-p", &at(""), "-e", "stderr", "-c", &at("nginx.conf")]);
    assert_agrees(&command, |_| {
        wait_until("nginx listens", || {
            std::os::unix::net::UnixStream::connect(&socket).is_ok()
        });
        for encoding in ["gzip", "identity"] {
            let header = format!("Accept-Encoding: {encoding}");
            let _ = run_tool(
                "curl",
                &[
                    "-sSf",
                    "-o",
                    "/dev/null",
                    "--unix-socket",
                    &socket,
                    "-H",
                    &header,
                    "http://localhost/index.html?[1-200]",
                ],
            );
        }
        let pid = fs::read_to_string(at("pid")).unwrap();
        let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        rustix::process::kill_process(pid, Signal::QUIT).unwrap();
    });
}

/// Every function of the allocator through a library that wraps it: a block
/// belongs to the outermost call, also where reallocarray comes back to
/// realloc through the wrapper.
#[test]
fn through_a_wrapper() {
    needs_tracing!();
    for (name, arguments) in [("functions", &[][..]), ("threads", &["each"])] {
        assert_agrees(Command::new(build(name)).args(arguments), |memtrace| {
            memtrace.talk().wait_until_ready();
            memtrace.talk().go();
            memtrace.talk().truth();
            memtrace.talk().go();
        });
    }
}

/// The leak of a node server that was started without any flag is what its
/// flame graph shows: the bodies its request log keeps, under the name of the
/// function that keeps them, with file and line.
#[test]
fn leaking_node_server() {
    needs_tracing!();
    needs_program!("node");
    let script = programs_dir().join("leaky_server.js");
    let script = script.to_str().unwrap();
    let mut node = Program::start(Command::new("node").arg(script));
    assert_eq!(node.talk.line(), "ready");
    let memtrace = Memtrace::attach(node.pid(), &[]);
    node.talk.say("300");
    assert_eq!(node.talk.line(), "done");
    let finished = memtrace.end();
    let report = finished.report();
    let named = |site: &&Site| {
        (site.frames.iter()).any(|frame| frame.function.as_deref() == Some("remember"))
    };
    // Each body comes with small blocks of node's own bookkeeping.
    let bodies: Vec<&Site> = (report.sites.iter().filter(named))
        .filter(|site| site.counts.live_bytes == site.counts.live_blocks << 16)
        .collect();
    let kept: u64 = bodies.iter().map(|site| site.counts.live_blocks).sum();
    assert_eq!(kept, 300, "{}", finished.stdout);
    assert_eq!(report.sites[0].site_id, bodies[0].site_id, "the largest");
    let svg = String::from_utf8(finished.file("live.svg")).unwrap();
    assert!(svg.contains(&format!("remember {script}:10")));
}
