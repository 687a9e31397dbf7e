//! A closer look's process: memtrace again, tracing one pid, in a process of its own so
//! that neither its memory nor its death is the daemon's.

use std::{
    fs::{self, File},
    io::{self, Read, Seek as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Signal, getppid, set_parent_process_death_signal};

use super::own;

/// What a look takes besides its window: loading, reading symbols, writing.
const BESIDES: Duration = Duration::from_secs(180);
/// Read of what it says.
const WORDS: u64 = 16 << 10;
/// The first to go when memory runs out (proc_pid_oom_score_adj(5)).
const OUT_OF_MEMORY_SCORE: &str = "1000";
/// The environment is not handed on, but for memtrace's own settings.
const OWN_SETTINGS: &str = "MEMTRACE_";

/// What is to be looked at, and how.
#[derive(Clone, Debug)]
pub struct Order {
    /// Whom.
    pub pid: u32,
    /// How long, ms.
    pub window_ms: u64,
    /// What it may take of one processor, 0 to 1.
    pub share: f64,
    /// Whether mapping calls are watched, which costs every process of the host something at each
    /// system call.
    pub mappings: bool,
}

/// A look that is under way.
#[derive(Debug)]
pub struct Running {
    child: Child,
    words: File,
    directory: PathBuf,
    deadline: Instant,
    cpu_before: u64,
}

/// One that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Where its files are.
    pub directory: PathBuf,
    /// Its own processor time, s.
    pub seconds: f64,
    /// Why it has no result, if so. A sentence.
    pub failure: Option<String>,
}

impl Running {
    /// Starts it. It dies with the thread that calls this.
    ///
    /// # Errors
    /// There is no process or no file to be had.
    pub fn start(order: &Order, directory: PathBuf) -> io::Result<Self> {
        let words = tempfile_in(&directory)?;
        let mut command = Command::new("/proc/self/exe");
        let settings = std::env::vars_os()
            .filter(|(name, _)| name.to_str().is_some_and(|it| it.starts_with(OWN_SETTINGS)));
        let settings: Vec<_> = settings.collect();
        command
            .arg0("memtrace")
            .env_clear()
            .envs(settings)
            .current_dir("/")
            .args(["--pid", &order.pid.to_string()])
            .args(["--duration", &format!("{}ms", order.window_ms)])
            .args(limits(order.share))
            .arg("--for-host")
            .arg("--output")
            .arg(&directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(words.try_clone()?)
            // Ctrl-C is the daemon's to act on.
            .process_group(0);
        if !order.mappings {
            command.arg("--no-mappings");
        }
        let parent = rustix::process::getpid();
        // SAFETY: only system calls.
        unsafe {
            command.pre_exec(move || {
                set_parent_process_death_signal(Some(Signal::KILL))?;
                // It may have died before.
                match getppid() == Some(parent) {
                    true => Ok(()),
                    false => Err(io::ErrorKind::NotFound.into()),
                }
            });
        }
        let cpu_before = children_ns();
        let child = command.spawn()?;
        // Where that is not allowed it has the daemon's own score.
        let score = format!("/proc/{}/oom_score_adj", child.id());
        let _ = fs::write(score, OUT_OF_MEMORY_SCORE);
        Ok(Self {
            child,
            words,
            directory,
            deadline: Instant::now() + Duration::from_millis(order.window_ms) + BESIDES,
            cpu_before,
        })
    }

    /// Whether it has ended by itself, or is overdue and was ended.
    pub fn poll(&mut self) -> Option<Ended> {
        match self.child.try_wait() {
            Ok(Some(status)) => Some(self.ended(status)),
            Ok(None) if Instant::now() > self.deadline => {
                let mut ended = self.kill();
                ended.failure = Some("it took too long and was ended".to_owned());
                Some(ended)
            }
            Ok(None) => None,
            Err(error) => Some(Ended {
                directory: self.directory.clone(),
                seconds: 0.0,
                failure: Some(format!("it cannot be waited for: {error}")),
            }),
        }
    }

    /// Ends it. Its probes go with its file descriptors.
    pub fn kill(&mut self) -> Ended {
        let _already_dead = self.child.kill();
        match self.child.wait() {
            Ok(status) => self.ended(status),
            Err(error) => Ended {
                directory: self.directory.clone(),
                seconds: 0.0,
                failure: Some(error.to_string()),
            },
        }
    }

    fn ended(&mut self, status: ExitStatus) -> Ended {
        let seconds = children_ns().saturating_sub(self.cpu_before) as f64 / 1e9;
        let failure = (!status.success()).then(|| match self.last_words() {
            Some(words) => words,
            None => format!("it ended with {status}"),
        });
        Ended {
            directory: self.directory.clone(),
            seconds,
            failure,
        }
    }

    /// The error that it told of.
    fn last_words(&mut self) -> Option<String> {
        let mut text = Vec::new();
        self.words.rewind().ok()?;
        let words = Read::by_ref(&mut self.words);
        words.take(WORDS).read_to_end(&mut text).ok()?;
        let text = String::from_utf8_lossy(&text);
        let told = text
            .lines()
            .rev()
            .find_map(|line| line.split_once("error: "));
        told.map(|(_, error)| error.trim().to_owned())
    }
}

/// How the trace is told what it may cost.
fn limits(share: f64) -> [String; 2] {
    ["--budget".to_owned(), format!("{:.3}%", share * 100.0)]
}

fn children_ns() -> u64 {
    own::cpu_ns(true).saturating_sub(own::cpu_ns(false))
}

/// A file without a name.
fn tempfile_in(directory: &Path) -> io::Result<File> {
    fs::create_dir_all(directory)?;
    tempfile::tempfile_in(directory)
}
