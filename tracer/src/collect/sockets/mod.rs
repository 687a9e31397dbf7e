//! Every socket of the host, with its memory and whose it is.

mod about;
pub mod assemble;
mod choice;
pub mod diag;
pub mod host;
mod iterators;
mod looker;
mod namespaces;
mod owners;
mod places;
pub mod pressure;
mod processes;
mod reads;
mod received;
pub(super) mod report;
mod trace;
mod watched;

use std::io;

use thiserror::Error;

use crate::{
    model::sockets::Snapshot,
    probe::{KernelTypes, ProbeError, sockets::SocketIterators},
};

pub use about::{about, check};
pub use choice::Choice;
pub(super) use processes::processes;
pub(super) use trace::{Processes, Sockets};

/// With more sockets than this the rest are only counted.
const SOCKETS_MAX: usize = 1 << 20;

/// Why the sockets could not be read.
#[derive(Debug, Error)]
pub enum SocketsError {
    /// Neither way works.
    #[error("the host's sockets cannot be read: {0}")]
    Unreadable(String),
    /// `/proc` is closed.
    #[error("the processes that have sockets cannot be listed: /proc cannot be read")]
    Processes(#[source] io::Error),
    /// Not without rights.
    #[error("the host's sockets may not be read. Run memtrace as root")]
    NotPermitted(#[source] io::Error),
    /// Not built into the kernel, nor to be loaded.
    #[error(
        "the kernel does not tell of its sockets: it has no sock_diag. Load its modules (modprobe -a tcp_diag udp_diag unix_diag)"
    )]
    NoDiagnosis(#[source] io::Error),
    /// The kernel boundary.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// Another failure of netlink.
    #[error("the kernel does not tell of its sockets (sock_diag)")]
    Netlink(#[source] io::Error),
}

/// How to read them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// By BPF iterators, else by `sock_diag`.
    #[default]
    Best,
    /// By `sock_diag`.
    SockDiag,
}

/// Reads the host's sockets, as often as is asked.
pub struct Reader {
    iterators: Option<SocketIterators>,
    /// Why not by iterators.
    note: Option<String>,
}

impl Reader {
    /// Finds out how they can be read here.
    ///
    /// # Errors
    /// [`SocketsError::Probe`] without the rights for either way.
    pub fn new(way: Way) -> Result<Self, SocketsError> {
        match way {
            Way::Best => {
                let types = KernelTypes::of_this_kernel();
                Self::of(types.and_then(|types| SocketIterators::load(&types)))
            }
            Way::SockDiag => Ok(Self {
                iterators: None,
                note: None,
            }),
        }
    }

    /// The same, best way, for who has the kernel's types already.
    ///
    /// # Errors
    /// [`SocketsError::Probe`] without the rights for either way.
    pub fn with(types: &KernelTypes) -> Result<Self, SocketsError> {
        Self::of(SocketIterators::load(types))
    }

    fn of(loaded: Result<SocketIterators, ProbeError>) -> Result<Self, SocketsError> {
        let (iterators, note) = match loaded {
            Ok(iterators) => (Some(iterators), None),
            Err(error @ ProbeError::NotPermitted(_)) => return Err(error.into()),
            Err(ProbeError::NoBtf { path, reason }) => {
                let note = format!(
                    "The sockets were read by netlink (sock_diag), as the BPF iterators need the kernel's types, and {path} cannot be read: {reason}."
                );
                (None, Some(note))
            }
            Err(error) => {
                let reason = error.to_string();
                // Without the verifier's log.
                let reason = reason.split(" Verifier output").next().unwrap_or_default();
                let reason = reason.trim_end_matches('.');
                let note = format!(
                    "The sockets were read by netlink (sock_diag), as this kernel has no fitting BPF iterators (Linux 5.12): {reason}."
                );
                (None, Some(note))
            }
        };
        Ok(Self { iterators, note })
    }

    /// All sockets of all network namespaces that have a process.
    ///
    /// # Errors
    /// [`SocketsError`].
    pub fn snapshot(&mut self) -> Result<Snapshot, SocketsError> {
        let mut snapshot = match &mut self.iterators {
            Some(iterators) => iterators::snapshot(iterators)?,
            None => diag::snapshot()?,
        };
        snapshot.notes.extend(self.note.clone());
        Ok(snapshot)
    }
}
