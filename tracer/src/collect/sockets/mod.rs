//! Every socket of the host, with its memory and whose it is.

mod about;
mod choice;

pub use about::{about, check};
pub use choice::Choice;

use thiserror::Error;

use crate::model::sockets::Snapshot;

/// Why the sockets could not be read.
#[derive(Debug, Error)]
pub enum SocketsError {
    /// Neither way works.
    #[error("the host's sockets cannot be read: {0}")]
    Unreadable(String),
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
        Ok(Snapshot::default())
    }
}
