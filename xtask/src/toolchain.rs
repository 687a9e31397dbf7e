//! The compiler for the eBPF object: it needs `core` for `bpfel-unknown-none`,
//! so a compiler with its library source, and a bpf-linker on the same LLVM.

use std::{path::Path, process::Command};

use anyhow::{Context as _, bail};

/// A compiler that can build the object.
pub struct Toolchain {
    /// What to call.
    pub rustc: String,
    /// Its version, commit and LLVM, in a line.
    pub version: String,
    /// bpf-linker's version.
    pub linker: String,
    /// Where the library source is.
    pub sysroot: String,
}

/// Debian's rustc-web, then rustup's nightly: whichever has its library source.
pub fn find() -> anyhow::Result<Toolchain> {
    let linker = output(Command::new("bpf-linker").arg("--version"))
        .context("bpf-linker is missing: scripts/install.sh ebpf installs it")?;
    for rustc in candidates() {
        let Ok(sysroot) = output(Command::new(&rustc).args(["--print", "sysroot"])) else {
            continue;
        };
        if !Path::new(&sysroot)
            .join("lib/rustlib/src/rust/library/core")
            .exists()
        {
            continue;
        }
        let verbose = output(Command::new(&rustc).arg("-vV"))?;
        let version = verbose
            .lines()
            .filter(|line| {
                ["rustc ", "release:", "LLVM version:"]
                    .iter()
                    .any(|start| line.starts_with(start))
            })
            .collect::<Vec<_>>()
            .join(", ");
        return Ok(Toolchain {
            rustc,
            version,
            linker,
            sysroot,
        });
    }
    bail!(
        "no Rust compiler with its library source was found. On Debian: scripts/install.sh ebpf; \
         with rustup: rustup toolchain install nightly --component rust-src, and cargo install bpf-linker"
    )
}

fn candidates() -> Vec<String> {
    let mut found = vec!["/usr/bin/rustc".to_owned()];
    found.extend(
        output(Command::new("rustup").args(["which", "--toolchain", "nightly", "rustc"])).ok(),
    );
    found
}

fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    anyhow::ensure!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
