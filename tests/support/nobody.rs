//! memtrace as a user without any rights.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::binary;

/// A copy of memtrace that everybody may run, and a directory that everybody may
/// write to: the build directory may be closed to others.
pub struct Nobody {
    copy: PathBuf,
    place: PathBuf,
    _directory: TempDir,
}

impl Nobody {
    /// Copies it.
    #[must_use]
    pub fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let allow = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        allow(directory.path(), 0o755);
        let (copy, place) = (
            directory.path().join("memtrace"),
            directory.path().join("place"),
        );
        fs::copy(binary(), &copy).unwrap();
        fs::create_dir(&place).unwrap();
        allow(&place, 0o777);
        Self {
            copy,
            place,
            _directory: directory,
        }
    }

    /// The command, as `nobody` and without capabilities.
    #[must_use]
    pub fn memtrace(&self) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .args(["--bounding-set", "-all", "--"])
            .arg(&self.copy)
            .current_dir(&self.place);
        command
    }

    /// Where it runs, empty at first.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.place
    }
}

impl Default for Nobody {
    fn default() -> Self {
        Self::new()
    }
}
