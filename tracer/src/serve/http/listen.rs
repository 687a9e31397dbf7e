//! Where the server listens, and what a connection is.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::Mode;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener, UnixStream},
};

use super::HttpError;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// An address; port 0: any that is free.
    Tcp(SocketAddr),
    /// A Unix socket, which only its owner may open (mode 0600).
    Unix(PathBuf),
}

/// Listens already: connections wait from now on.
#[derive(Debug)]
pub struct Listener(pub(super) Kind);

#[derive(Debug)]
pub(super) enum Kind {
    Tcp(TcpListener, SocketAddr),
    Unix {
        listener: UnixListener,
        _goes_with_it: Socket,
    },
}

/// The file of a Unix socket, which goes with the listener, if it is still the same.
#[derive(Debug)]
pub(super) struct Socket {
    path: PathBuf,
    inode: Option<(u64, u64)>,
}

impl Listener {
    /// Begins to listen; needs a tokio runtime.
    ///
    /// # Errors
    /// [`HttpError::Listen`] and [`HttpError::Taken`].
    pub async fn bind(listen: &Listen) -> Result<Self, HttpError> {
        match listen {
            Listen::Tcp(address) => {
                let failed = |source| HttpError::Listen {
                    address: address.to_string(),
                    source,
                };
                let listener = TcpListener::bind(address).await.map_err(failed)?;
                let address = listener.local_addr().map_err(failed)?;
                Ok(Self(Kind::Tcp(listener, address)))
            }
            Listen::Unix(path) => {
                free(path).await?;
                let listener = bind_private(path).map_err(|source| HttpError::Listen {
                    address: path.display().to_string(),
                    source,
                })?;
                let inode = inode(path);
                let path = path.clone();
                Ok(Self(Kind::Unix {
                    listener,
                    _goes_with_it: Socket { path, inode },
                }))
            }
        }
    }

    /// The address, with the port that was free; `None`: it is a Unix socket.
    #[must_use]
    pub const fn address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Tcp(_, address) => Some(*address),
            Kind::Unix { .. } => None,
        }
    }
}

/// A connection of either kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// Says that there are too many, as far as that can be said without waiting.
    fn refuse(&self, answer: &[u8]);
}

impl Stream for tokio::net::TcpStream {
    fn refuse(&self, answer: &[u8]) {
        // It may never be read.
        let _best_effort = self.try_write(answer);
    }
}

impl Stream for UnixStream {
    fn refuse(&self, answer: &[u8]) {
        let _best_effort = self.try_write(answer);
    }
}

impl Listener {
    pub(super) async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match &self.0 {
            Kind::Tcp(listener, _) => {
                let (stream, _) = listener.accept().await?;
                // Small answers go at once; without it they are only later.
                let _best_effort = stream.set_nodelay(true);
                Ok(Box::new(stream))
            }
            Kind::Unix { listener, .. } => Ok(Box::new(listener.accept().await?.0)),
        }
    }
}

/// Takes away the socket that a daemon left which was killed. What still listens, or is no
/// socket, stays.
async fn free(path: &Path) -> Result<(), HttpError> {
    let taken = |what| HttpError::Taken {
        path: path.to_owned(),
        what,
    };
    let failed = |source| HttpError::Listen {
        address: path.display().to_string(),
        source,
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => Err(taken("is no socket")),
        Ok(_) => match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path).map_err(failed)
            }
            _ => Err(taken("somebody listens there")),
        },
    }
}

/// Between bind(2) and chmod(2) others could connect: the mode is right from the start. The
/// mask is the process's, but only takes rights away, and only for the length of a call.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    let before = rustix::process::umask(Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(path);
    rustix::process::umask(before);
    listener
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.inode.is_some() && inode(&self.path) == self.inode {
            // Who starts next takes it away otherwise.
            let _best_effort = fs::remove_file(&self.path);
        }
    }
}
