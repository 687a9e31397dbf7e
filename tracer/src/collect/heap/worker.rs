//! The heap worker: the child in which a target's heap is looked into. It has a
//! socket as standard input and the shared memory as standard output, gives up
//! everything else, walks once, and ends.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::protocol::{
    self, Job, Outcome, Question, Reply, SHARED_BYTES, SMALL, STATES, SUBCOMMAND, WINDOW,
    WINDOW_STATES,
};
use crate::{
    heap::{Lost, Memory, PageState, memory::PAGE, walk_and_tell_pages},
    probe::remote_memory::SharedMemory,
    symbolize::{sandbox, worker::run_as},
};

/// A walk takes a third of a second a GiB.
const SECONDS_MAX: u32 = 600;

/// Runs the worker if this process was started as one. To be called before any
/// thread is started.
#[must_use]
pub fn run_if_asked() -> Option<ExitCode> {
    run_as(SUBCOMMAND, run)
}

fn run() -> io::Result<()> {
    sandbox::close_inherited_files();
    let _unnamed = rustix::thread::set_name(c"memtrace-heap");
    let shared = SharedMemory::open(io::stdout().as_fd(), SHARED_BYTES)?;
    let entered = sandbox::enter();
    sandbox::end_after(SECONDS_MAX);
    let outcome = match entered {
        Err(error) => Outcome::NoSandbox(error.to_string()),
        Ok(()) => {
            let job: Job = protocol::receive(&mut Socket)?;
            let mut memory = Asked {
                shared,
                window: (0, 0),
            };
            let Job {
                version,
                mappings,
                partly_used_max: most,
            } = job;
            match walk_and_tell_pages(&mut memory, version, &mappings, most) {
                Ok(walked) => Outcome::Walked(Box::new(walked)),
                Err(refusal) => Outcome::Refused(refusal),
            }
        }
    };
    Question::Done.send(&mut Socket)?;
    Reply::receive(&mut Socket)?;
    protocol::send(&mut Socket, &outcome)
}

/// Standard input, by calls that the sandbox allows.
struct Socket;

impl Read for Socket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        Ok(recv(io::stdin(), bytes, RecvFlags::empty())?.0)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(send(io::stdin(), bytes, SendFlags::NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Memory that is asked of the parent.
struct Asked {
    shared: SharedMemory,
    window: (usize, usize),
}

impl Asked {
    fn ask(question: Question) -> Result<bool, Lost> {
        question.send(&mut Socket).map_err(|_| Lost)?;
        match Reply::receive(&mut Socket).map_err(|_| Lost)? {
            Reply::Here => Ok(true),
            Reply::NotResident => Ok(false),
            Reply::Lost => Err(Lost),
        }
    }

    fn part(&self, start: usize, length: usize) -> &[u8] {
        self.shared
            .bytes()
            .get(start..start + length)
            .unwrap_or_default()
    }
}

impl Memory for Asked {
    fn states(&mut self, start: u64, pages: usize, to: &mut Vec<PageState>) -> Result<(), Lost> {
        Self::ask(Question::States(start, pages as u64))?;
        let states = self.part(STATES, pages).iter();
        to.extend(states.map(|state| PageState::from_number(*state)));
        Ok(())
    }

    fn show(&mut self, start: u64, bytes: usize) -> Result<(), Lost> {
        Self::ask(Question::Show(start, bytes as u64))?;
        self.window = (bytes, bytes.div_ceil(PAGE as usize));
        Ok(())
    }

    fn shown(&self) -> (&[u8], &[u8]) {
        let (bytes, pages) = self.window;
        (self.part(WINDOW, bytes), self.part(WINDOW_STATES, pages))
    }

    fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<bool, Lost> {
        // An address out of nowhere is no reason for the parent to give up.
        if address >= 1 << 47 || !Self::ask(Question::Read(address, bytes.len() as u64))? {
            return Ok(false);
        }
        let read = self.part(SMALL, bytes.len());
        if read.len() != bytes.len() {
            return Err(Lost);
        }
        bytes.copy_from_slice(read);
        Ok(true)
    }
}
