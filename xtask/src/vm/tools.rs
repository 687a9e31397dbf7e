//! What starts the guest: virtme-ng, in a Python environment of its own. QEMU
//! and the rest come from `scripts/install.sh vm`.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use super::debian::succeed;

/// The newest that was tried.
const VIRTME: &str = "virtme-ng==1.42";

/// The directory of the programs that start guests.
pub fn virtme(directory: &Path) -> anyhow::Result<PathBuf> {
    let environment = directory.join("python");
    let programs = environment.join("bin");
    if !programs.join("vng").exists() {
        succeed(
            Command::new("python3")
                .args(["-m", "venv"])
                .arg(&environment),
        )?;
        succeed(Command::new(programs.join("pip")).args(["install", "--quiet", VIRTME]))?;
    }
    Ok(programs)
}

/// The search path with a directory before all others.
pub fn path_with(first: &Path) -> anyhow::Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::iter::once(first.to_path_buf()).chain(std::env::split_paths(&path));
    Ok(std::env::join_paths(directories)?)
}
