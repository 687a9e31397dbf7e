//! A child of our own on which return probes and their cost are tried before
//! any target is touched.
//!
//! - Return probes kill processes under a seccomp filter on some kernels from
//!   6.11 (the x86-64 trampoline is a system call there; systemd#34615).
//! - The process filter of multi links saw only the main thread before 6.10.
//! - What a trap costs differs by machine, and the kernel does not count it.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdout, Command, ExitCode, Stdio},
};

use super::{Kernel, Point, ProbeError, ProgramName};

/// What a trap costs on this machine, ns, beside the program that runs in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrapCosts {
    /// At an entry, on an instruction the kernel emulates.
    pub entry_ns: f64,
    /// At a return, beyond the entry trap that sets it up.
    pub return_ns: f64,
}

/// What the child showed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Findings {
    /// What a trap costs.
    pub traps: TrapCosts,
    /// Whether a process under a seccomp filter survives a return probe.
    pub seccomp_safe: bool,
    /// Whether probes see all threads of the process they are for.
    pub sees_threads: bool,
}

/// The hidden subcommand that becomes the child.
pub const SUBCOMMAND: &str = "canary";
/// Calls of one measurement: long enough to be sure of 50 ns, in 2 ms.
const CALLS: u32 = 2000;

/// Something to probe: a push, which the kernel emulates, and a return.
#[unsafe(naked)]
extern "C" fn probed() {
    core::arch::naked_asm!("push rbp", "pop rbp", "ret")
}

/// The child: does what each line of standard input says, and answers with a line.
#[must_use]
pub fn child_main() -> ExitCode {
    for line in std::io::stdin().lines() {
        let answer = match line.as_deref() {
            Ok("time") => measure(),
            Ok("thread") => std::thread::spawn(measure).join().unwrap_or(0),
            Ok("seccomp") => {
                if deny_unknown_calls().is_err() {
                    return ExitCode::from(2);
                }
                probed();
                return ExitCode::SUCCESS;
            }
            _ => return ExitCode::FAILURE,
        };
        println!("{answer}");
    }
    ExitCode::SUCCESS
}

/// Nanoseconds that the calls took.
fn measure() -> u64 {
    let start = std::time::Instant::now();
    for _ in 0..CALLS {
        probed();
    }
    start.elapsed().as_nanos() as u64
}

/// A filter as container runtimes have it: what it does not know kills.
fn deny_unknown_calls() -> Result<(), Box<dyn std::error::Error>> {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
    let known = [
        libc::SYS_exit_group,
        libc::SYS_exit,
        libc::SYS_write,
        libc::SYS_read,
        libc::SYS_munmap,
        libc::SYS_mmap,
        libc::SYS_sigaltstack,
        libc::SYS_rt_sigreturn,
        libc::SYS_futex,
        libc::SYS_brk,
        libc::SYS_mprotect,
    ];
    let filter = SeccompFilter::new(
        known.into_iter().map(|call| (call, vec![])).collect(),
        SeccompAction::KillProcess,
        SeccompAction::Allow,
        std::env::consts::ARCH.try_into()?,
    )?;
    let program: BpfProgram = filter.try_into()?;
    Ok(apply_filter(&program)?)
}

/// The child, as its parent sees it. Killed when dropped.
struct Canary {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Drop for Canary {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Canary {
    fn start() -> Result<Self, ProbeError> {
        let failed = |error: std::io::Error| ProbeError::Canary(error.to_string());
        let mut child = Command::new("/proc/self/exe")
            .arg(SUBCOMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let stdout = child
            .stdout
            .take()
            .ok_or_else(|| ProbeError::Canary("no pipe".to_owned()))?;
        Ok(Self {
            child,
            answers: BufReader::new(stdout),
        })
    }

    fn ask(&mut self, what: &str) -> Result<u64, ProbeError> {
        let failed = |error: std::io::Error| ProbeError::Canary(error.to_string());
        self.say(what)?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer).map_err(failed)?;
        answer
            .trim()
            .parse()
            .map_err(|_| ProbeError::Canary(format!("{what}: no answer")))
    }

    fn say(&mut self, what: &str) -> Result<(), ProbeError> {
        let stdin = self
            .child
            .stdin
            .as_mut()
            .ok_or_else(|| ProbeError::Canary("no pipe".to_owned()))?;
        writeln!(stdin, "{what}").map_err(|error| ProbeError::Canary(error.to_string()))
    }
}

/// Tries everything; some 30 ms.
pub fn examine(kernel: &mut Kernel) -> Result<Findings, ProbeError> {
    let (file, point) = place_of_probed()?;
    let mut canary = Canary::start()?;
    let pid = canary.child.id();
    let untraced = canary.ask("time")?;
    kernel.attach(ProgramName::EmptyEntry, &file, &[point], pid)?;
    let entry = canary.ask("time")?;
    let counting = aya::sys::enable_stats(aya::sys::Stats::RunTime).ok();
    let hits = |kernel: &Kernel| kernel.run_statistics(ProgramName::EmptyEntry).count;
    let before = hits(kernel);
    canary.ask("thread")?;
    let sees_threads = counting.is_none() || hits(kernel) - before >= u64::from(CALLS);
    drop(counting);
    kernel.attach(ProgramName::EmptyReturn, &file, &[point], pid)?;
    let both = canary.ask("time")?;
    canary.say("seccomp")?;
    let status = canary
        .child
        .wait()
        .map_err(|error| ProbeError::Canary(error.to_string()))?;
    kernel.detach();
    let each = |more: u64, less: u64| more.saturating_sub(less) as f64 / f64::from(CALLS);
    Ok(Findings {
        traps: TrapCosts {
            entry_ns: each(entry, untraced),
            return_ns: each(both, entry),
        },
        seccomp_safe: status.success(),
        sees_threads,
    })
}

/// Our own file, and where in it [`probed`] stands: the child runs the same.
fn place_of_probed() -> Result<(File, Point), ProbeError> {
    let failed = |reason: String| ProbeError::Canary(reason);
    let address = probed as *const () as u64;
    let file = File::open("/proc/self/exe").map_err(|error| failed(error.to_string()))?;
    let maps =
        std::fs::read_to_string("/proc/self/maps").map_err(|error| failed(error.to_string()))?;
    let offset = maps.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let (start, end) = (
            u64::from_str_radix(start, 16).ok()?,
            u64::from_str_radix(end, 16).ok()?,
        );
        let offset = u64::from_str_radix(words.nth(1)?, 16).ok()?;
        (start <= address && address < end).then(|| offset + (address - start))
    });
    let offset = offset.ok_or_else(|| failed("own code is not mapped from a file".to_owned()))?;
    Ok((file, Point { offset, cookie: 0 }))
}
