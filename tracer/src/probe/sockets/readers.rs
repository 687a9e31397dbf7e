//! The probe where targets read. It comes and goes: attached all the time it would
//! cost a busy server more than everything else about its sockets, and tell nothing.

use std::any::Any;

use aya::{
    Ebpf,
    programs::{Program, ProgramError},
};

/// `tcp_recvmsg`: where a kprobe goes; the other programs know their place.
pub(super) const FUNCTION: &str = "tcp_recvmsg";

/// The program that takes the stacks of readers, loaded.
#[derive(Debug)]
pub struct Readers {
    program: String,
    /// Dropped, it detaches.
    link: Option<Box<dyn Any + Send>>,
}

impl Readers {
    /// That of this name; not attached.
    pub(super) const fn new(program: String) -> Self {
        Self {
            program,
            link: None,
        }
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
                let link = program.attach(FUNCTION, 0)?;
                Box::new(program.take_link(link)?)
            }
            _ => return Err(ProgramError::NotLoaded),
        })
    }
}
