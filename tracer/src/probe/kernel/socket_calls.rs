//! Where targets use their sockets: the kernel side's probes there.

use super::{Kernel, KernelTypes, ProbeError, chain};
use crate::{
    model::trace_sockets::Probes,
    probe::{
        sockets::{self, SocketProbes},
        sys,
    },
};

impl Kernel {
    /// Attaches where targets use their sockets: by `choice` alone, or by the best way
    /// that works here.
    pub fn attach_sockets(&mut self, types: &KernelTypes, choice: Option<Probes>) -> SocketProbes {
        let (probes, calls) = sockets::attach(&mut self.ebpf, types, self.rounds, choice);
        self.socket_calls = calls;
        probes
    }

    /// Attaches an empty program where every process of the host sends.
    pub fn attach_floor_of_sends(&mut self) -> Result<(), ProbeError> {
        sockets::attach_floor(&mut self.ebpf)
    }

    /// Has the stacks of those who send and of those who read taken from now on, as
    /// both are after [`Self::attach_sockets`], or no more.
    pub fn watch_socket_calls(&mut self, senders: bool, readers: bool) -> Result<(), ProbeError> {
        let Some(calls) = &mut self.socket_calls else {
            return Ok(());
        };
        for (probe, on) in [(&mut calls.senders, senders), (&mut calls.readers, readers)] {
            let watched = probe.watch(&mut self.ebpf, on);
            watched.map_err(|error| ProbeError::Attach {
                what: probe.function().to_owned(),
                reason: chain(&error),
            })?;
        }
        Ok(())
    }

    /// What the kernel knows of the program where targets send.
    #[must_use]
    pub fn run_statistics_of_senders(&self) -> sys::ProgramRun {
        let senders = self.socket_calls.as_ref().map(|calls| &calls.senders);
        senders
            .map(|probe| probe.run_statistics(&self.ebpf))
            .unwrap_or_default()
    }
}
