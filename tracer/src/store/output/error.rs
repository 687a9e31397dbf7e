//! Why outputs could not be written, each with what to do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// One output, or the directory, that could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The directory's parent is not there.
    #[error("cannot create {}: its parent is no directory that exists; create it first", path.display())]
    NoParent {
        /// The directory asked for.
        path: PathBuf,
    },
    /// Something else stands at the path.
    #[error("{} exists and is not a directory; choose another with -o", path.display())]
    NotADirectory {
        /// The directory asked for.
        path: PathBuf,
    },
    /// A link stands at the path: another user may have placed it.
    #[error("{} is a symbolic link; name the directory it leads to", path.display())]
    SymbolicLink {
        /// The directory asked for.
        path: PathBuf,
    },
    /// The directory is another user's.
    #[error("{} belongs to user id {uid}; choose a directory of your own with -o", path.display())]
    NotOurs {
        /// The directory asked for.
        path: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// No space, or no quota.
    #[error("no space left for {}; free some, or choose another place with -o", path.display())]
    StorageFull {
        /// What was being written.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// The user may not write there, or nobody may.
    #[error("not allowed to write {}; choose another place with -o", path.display())]
    Denied {
        /// What was being written.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// Anything else.
    #[error("cannot write {}; choose another place with -o", path.display())]
    Failed {
        /// What was being written.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
}

impl OutputError {
    pub(super) fn from_io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match Errno::from_io_error(&source) {
            Some(Errno::NOSPC | Errno::DQUOT) => Self::StorageFull { path, source },
            Some(Errno::ACCESS | Errno::PERM | Errno::ROFS) => Self::Denied { path, source },
            _ => Self::Failed { path, source },
        }
    }
}

/// Outputs that could not be written, and those that could.
#[derive(Debug)]
pub struct WriteErrors {
    /// Paths of the outputs that are whole.
    pub written: Vec<PathBuf>,
    /// One error for each that is not there.
    pub errors: Vec<OutputError>,
}

impl fmt::Display for WriteErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
            if let Some(source) = std::error::Error::source(error) {
                write!(f, ": {source}")?;
            }
        }
        let recording = self
            .written
            .iter()
            .find(|path| path.ends_with("recording.memtrace"));
        if let Some(recording) = recording {
            let recording = recording.display();
            write!(
                f,
                "\nnothing is lost: `memtrace report {recording}` makes the outputs again"
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for WriteErrors {}
