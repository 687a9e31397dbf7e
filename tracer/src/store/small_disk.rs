//! A disk that is soon full, for tests.

use std::{path::Path, process::Command};

/// A mount that is undone when the test ends, however it ends.
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None`: mount is not permitted here.
    pub fn mount(options: &str) -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", options, "memtrace-test"])
            .arg(place.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        mounted.then(|| Self(place))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).status();
    }
}
