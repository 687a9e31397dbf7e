//! Every socket of the host, with its memory and whose it is.

mod diag;
mod host;
mod namespaces;
mod owners;
mod places;
mod processes;

use std::io;

use thiserror::Error;

use crate::model::sockets::Snapshot;

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
#[derive(Debug)]
pub struct Reader {
    _way: Way,
}

impl Reader {
    /// Finds out how they can be read here.
    ///
    /// # Errors
    /// [`SocketsError`], with what to do.
    pub fn new(way: Way) -> Result<Self, SocketsError> {
        Ok(Self { _way: way })
    }

    /// All sockets of all network namespaces that have a process.
    ///
    /// # Errors
    /// [`SocketsError`].
    pub fn snapshot(&mut self) -> Result<Snapshot, SocketsError> {
        diag::snapshot()
    }
}
