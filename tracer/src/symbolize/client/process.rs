//! The worker's process and the exchange with it, against a deadline.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::FileWorkerError;
use crate::symbolize::protocol::{Answer, Request, read_answer, send_message};
use crate::symbolize::worker::SUBCOMMAND;

/// It is up within 20 ms on an idle machine; one that is emulated and busy took
/// more than 10 s.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A worker that runs.
pub(super) struct Running {
    pub process: Child,
    socket: UnixStream,
}

/// How one exchange with the worker failed.
pub(super) enum Failure {
    Died,
    TimedOut,
    Senseless,
}

impl Running {
    pub fn start(mut command: Command) -> Result<Self, FileWorkerError> {
        let not_started = |error: io::Error| FileWorkerError::NotStarted(error.to_string());
        let (socket, childs) = UnixStream::pair().map_err(not_started)?;
        let process = command
            .arg(SUBCOMMAND)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(childs)))
            .stdout(Stdio::null())
            // Its messages would hold a target's text.
            .stderr(Stdio::null())
            // Ctrl-C ends the trace; the names are asked for after that.
            .process_group(0)
            .spawn()
            .map_err(not_started)?;
        // The command still holds the child's end: without this the worker's
        // death would not be seen.
        drop(command);
        let running = Self { process, socket };
        let deadline = Instant::now() + START_TIMEOUT;
        match read_answer(&mut Timed::new(&running.socket, deadline)) {
            Ok(Answer::Ready) => Ok(running),
            Ok(Answer::Refused(reason)) => {
                running.stop();
                Err(FileWorkerError::NotStarted(reason))
            }
            Ok(_) => {
                running.stop();
                Err(FileWorkerError::Senseless)
            }
            Err(error) if Failure::is_timeout(&error) => {
                running.stop();
                let reason = format!("it was not ready after {START_TIMEOUT:?}");
                Err(FileWorkerError::NotStarted(reason))
            }
            Err(error) => {
                let how = how_it_ended(running.stop());
                Err(FileWorkerError::NotStarted(format!("{error}{how}")))
            }
        }
    }

    pub fn stop(mut self) -> Option<ExitStatus> {
        // A worker that ends of itself keeps its own status.
        let _already_dead = self.process.kill();
        self.process.wait().ok()
    }
}

/// Asks and waits for the answer.
pub(super) fn exchange(
    running: &Running,
    request: &Request,
    file: BorrowedFd<'_>,
    deadline: Instant,
) -> Result<Answer, Failure> {
    let mut socket = Timed::new(&running.socket, deadline);
    socket.limit_sending().map_err(Failure::of)?;
    send_message(socket.socket, request, Some(file)).map_err(Failure::of)?;
    read_answer(&mut socket).map_err(Failure::of)
}

impl Failure {
    fn is_timeout(error: &io::Error) -> bool {
        matches!(
            error.kind(),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
        )
    }

    fn of(error: io::Error) -> Self {
        match error.kind() {
            _ if Self::is_timeout(&error) => Self::TimedOut,
            io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::FileTooLarge => Self::Senseless,
            _ => Self::Died,
        }
    }
}

/// A socket whose reads end at a deadline, however slowly bytes arrive.
struct Timed<'socket> {
    socket: &'socket UnixStream,
    deadline: Instant,
}

impl<'socket> Timed<'socket> {
    fn new(socket: &'socket UnixStream, deadline: Instant) -> Self {
        Self { socket, deadline }
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(left)
    }

    fn limit_sending(&self) -> io::Result<()> {
        self.socket.set_write_timeout(Some(self.left()?))
    }
}

impl io::Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(Some(self.left()?))?;
        (&mut &*self.socket).read(buffer)
    }
}

pub(super) fn how_it_ended(status: Option<ExitStatus>) -> String {
    status.map_or_else(String::new, |status| format!(" ({status})"))
}
