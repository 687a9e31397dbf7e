//! The probes where targets send and read. They come and go: attached all the time
//! they can cost a busy server more than everything else about its sockets, and tell
//! nothing new.

use std::{any::Any, os::fd::AsFd as _};

use aya::{
    Ebpf,
    programs::{Program, ProgramError},
};

use crate::probe::sys::{ProgramRun, program_run};

/// Where targets use their sockets.
#[derive(Debug)]
pub struct Switched {
    /// Where they send.
    pub senders: Probe,
    /// Where they read.
    pub readers: Probe,
}

/// A program that takes stacks, loaded.
#[derive(Debug)]
pub struct Probe {
    program: String,
    /// A function, or a tracepoint.
    function: &'static str,
    /// Dropped, it detaches.
    link: Option<Box<dyn Any + Send>>,
}

impl Probe {
    /// That of this name; not attached.
    pub(super) const fn new(program: String, function: &'static str) -> Self {
        Self {
            program,
            function,
            link: None,
        }
    }

    /// Its name.
    pub(super) fn program(&self) -> &str {
        &self.program
    }

    /// Where it belongs.
    pub(in crate::probe) const fn function(&self) -> &'static str {
        self.function
    }

    /// Attaches it, or takes it away.
    pub(in crate::probe) fn watch(
        &mut self,
        ebpf: &mut Ebpf,
        on: bool,
    ) -> Result<(), ProgramError> {
        if !on {
            self.link = None;
        } else if self.link.is_none() {
            self.link = Some(self.attach(ebpf)?);
        }
        Ok(())
    }

    /// What the kernel knows of its runs.
    pub(in crate::probe) fn run_statistics(&self, ebpf: &Ebpf) -> ProgramRun {
        let program = ebpf.program(&self.program);
        let fd = program.and_then(|program| program.fd().ok());
        fd.and_then(|fd| program_run(fd.as_fd()).ok())
            .unwrap_or_default()
    }

    fn attach(&self, ebpf: &mut Ebpf) -> Result<Box<dyn Any + Send>, ProgramError> {
        Ok(match ebpf.program_mut(&self.program) {
            Some(Program::BtfTracePoint(program)) => {
                let link = program.attach()?;
                Box::new(program.take_link(link)?)
            }
            Some(Program::FEntry(program)) => {
                let link = program.attach()?;
                Box::new(program.take_link(link)?)
            }
            Some(Program::KProbe(program)) => {
                let link = program.attach(self.function, 0)?;
                Box::new(program.take_link(link)?)
            }
            _ => return Err(ProgramError::NotLoaded),
        })
    }
}
