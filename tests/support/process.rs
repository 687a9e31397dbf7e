//! A child process that is killed when dropped and waited for with a deadline.

use std::os::unix::process::CommandExt as _;
use std::{
    io::{self, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, LazyLock, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};

/// How long anything may take before its test fails: 90 s, or so many times
/// that as `MEMTRACE_PATIENCE` says, for slow machines.
pub static DEADLINE: LazyLock<Duration> = LazyLock::new(|| {
    let times = std::env::var("MEMTRACE_PATIENCE").ok();
    Duration::from_secs(90) * times.and_then(|times| times.parse().ok()).unwrap_or(1)
});

/// Starts it; again while the program is busy: what another test starts
/// meanwhile holds, until its exec, the file as it was written.
fn spawn(command: &mut Command) -> io::Result<Child> {
    let start = Instant::now();
    loop {
        match command.spawn() {
            Err(error)
                if error.kind() == io::ErrorKind::ExecutableFileBusy
                    && start.elapsed() < *DEADLINE => {}
            outcome => return outcome,
        }
    }
}

/// A child process.
pub struct Process {
    child: Child,
    name: String,
    errors: Collected,
}

impl Process {
    /// Starts it; its standard error is collected.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let name = format!("{command:?}");
        // A shell that runs the suite in the background has it ignored.
        // SAFETY: signal(2) may be called between fork and exec.
        unsafe {
            command.pre_exec(|| {
                libc::signal(libc::SIGINT, libc::SIG_DFL);
                Ok(())
            });
        }
        command.stderr(Stdio::piped());
        let mut child =
            spawn(command).unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let errors = Collected::from(child.stderr.take().unwrap());
        Self {
            child,
            name,
            errors,
        }
    }

    /// Its pid.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The child, for its standard streams.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end; fails the test when that does not come.
    pub fn wait(&mut self) -> ExitStatus {
        self.wait_for(*DEADLINE)
    }

    /// The same with a deadline of its own.
    pub fn wait_for(&mut self, limit: Duration) -> ExitStatus {
        if let Some(status) = self.child.try_wait().unwrap() {
            return status;
        }
        let pidfd = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty()).unwrap();
        let timeout = Timespec::try_from(limit).unwrap();
        let mut watched = [PollFd::new(&pidfd, PollFlags::IN)];
        if poll(&mut watched, Some(&timeout)).unwrap() == 0 {
            panic!(
                "{} did not end in {limit:?}; it said: {}",
                self.name,
                self.errors_so_far()
            );
        }
        self.child.wait().unwrap()
    }

    /// What it has written to standard error.
    #[must_use]
    pub fn errors_so_far(&self) -> String {
        self.errors.so_far()
    }

    /// All that it wrote to standard error; to be asked after its end.
    #[must_use]
    pub fn errors(&mut self) -> String {
        self.errors.all()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A stream read to its end by a thread.
pub(super) struct Collected {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Collected {
    pub(super) fn from(mut stream: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&bytes);
        let reader = std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut piece) {
                shared.lock().unwrap().extend_from_slice(&piece[..length]);
            }
        });
        Self {
            bytes,
            reader: Some(reader),
        }
    }

    pub(super) fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    /// Everything; blocks until each holder of the stream is gone.
    pub(super) fn all(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.so_far()
    }
}

/// Whether a program is installed.
#[must_use]
pub fn has_program(name: &str) -> bool {
    std::env::var_os("PATH")
        // `join` of an absolute path is that path.
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(name).is_file()))
}

/// Asks until the answer is yes; fails the test at the deadline. Only for what
/// the kernel does later by itself and tells nobody.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < *DEADLINE, "still not: {what}");
        std::thread::yield_now();
    }
}

/// Runs another tool to its end and takes what it prints.
#[must_use]
pub fn run_tool(name: &str, arguments: &[&str]) -> String {
    let output = Command::new(name)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{name} is needed: {error}"));
    assert!(
        output.status.success(),
        "{name} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
