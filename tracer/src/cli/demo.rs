//! `memtrace demo`: traces a bundled program that leaks: a node server where
//! node is there, else a native one.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, ExitCode, Stdio},
};

use anyhow::Context as _;

use super::{arguments, attach, printer::Printer};
use crate::collect::{Limit, TargetProcess};

/// The server; it also sends itself requests.
const NODE_SERVER: &str = include_str!("demo/server.js");
/// The hidden subcommand that is the native program.
pub const SUBCOMMAND: &str = "leaky";

pub fn run(arguments: &arguments::Demo, printer: &Printer) -> anyhow::Result<ExitCode> {
    let mut program = Program::start(printer)?;
    program.wait_until_ready()?;
    let trace = arguments::Trace {
        duration: Some(arguments.duration),
        output: arguments.output.clone(),
        max_blocks: crate::probe::Limits::default().blocks,
        max_sites: None,
        unwind_memory: crate::probe::UNWIND_MIB,
        no_mappings: false,
        no_heap: false,
        no_js_heap: false,
        no_sockets: false,
        socket_probes: arguments::SocketProbes::Auto,
        ready_fd: None,
        for_host: false,
        gate: arguments::Gate::default(),
    };
    let target = TargetProcess::open_own(program.child.id())?;
    let options = trace.options(arguments::Overhead(Limit::Off), false);
    let (output, _) = attach::trace_processes(vec![target], &trace, &options, None, printer)?;
    printer.say(&format!(
        "the picture is {}: open it in a browser, and click on a frame to look closer",
        output.join("live.svg").display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// The program, killed when dropped.
struct Program {
    child: Child,
    /// Where the server's script is.
    _directory: tempfile::TempDir,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    fn start(printer: &Printer) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir().context("no directory for the demo program")?;
        let script = directory.path().join("server.js");
        std::fs::write(&script, NODE_SERVER).context("no script for the demo program")?;
        let node = Command::new("node")
            .arg(script)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        if let Ok(child) = node {
            printer
                .say("demo: a node server, started as usual, whose request log keeps every body");
            return Ok(Self {
                child,
                _directory: directory,
            });
        }
        printer
            .say("demo: node is not installed; a native server whose request log keeps every body");
        let child = Command::new("/proc/self/exe")
            .arg(SUBCOMMAND)
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Self {
            child,
            _directory: directory,
        })
    }

    /// Waits for the line that says that it serves.
    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let stdout = self.child.stdout.take().context("no pipe from the demo")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        anyhow::ensure!(line.starts_with("ready"), "the demo program did not start");
        Ok(())
    }
}

/// The native program: handles a thousand requests a second, and keeps the body of each in a log.
pub fn leaky_main() -> ExitCode {
    println!("ready");
    let mut log = RequestLog { bodies: Vec::new() };
    for number in 0..u64::from(u32::MAX) {
        handle_request(&mut log, number);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    ExitCode::SUCCESS
}

struct RequestLog {
    bodies: Vec<Vec<u8>>,
}

#[inline(never)]
fn handle_request(log: &mut RequestLog, number: u64) {
    let body = read_body(number);
    let answer = render_answer(&body);
    std::hint::black_box(&answer);
    log.remember(body);
}

#[inline(never)]
fn read_body(number: u64) -> Vec<u8> {
    std::hint::black_box(vec![number as u8; 16 * 1024])
}

#[inline(never)]
fn render_answer(body: &[u8]) -> String {
    format!("{} bytes", body.len())
}

impl RequestLog {
    #[inline(never)]
    fn remember(&mut self, body: Vec<u8>) {
        self.bodies.push(body);
    }
}
