//! What the committed object was built from and by: `tracer/ebpf/BUILD.json`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::toolchain::Toolchain;

/// The record.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The compiler.
    pub compiler: String,
    /// The linker.
    pub linker: String,
    /// SHA-256 of all that the object is built from, see [`sources`].
    pub sources_sha256: String,
    /// SHA-256 of the object.
    pub object_sha256: String,
}

impl Record {
    /// The record of an object that `toolchain` has just built.
    pub fn new(root: &Path, toolchain: &Toolchain, object: &[u8]) -> anyhow::Result<Self> {
        Ok(Self {
            compiler: toolchain.version.clone(),
            linker: toolchain.linker.clone(),
            sources_sha256: sources(root)?,
            object_sha256: sha256(object),
        })
    }

    /// The committed record.
    pub fn read(root: &Path) -> anyhow::Result<Self> {
        let path = path(root);
        let text =
            fs::read(&path).with_context(|| format!("{}: run cargo xtask ebpf", path.display()))?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Writes it beside the object.
    pub fn write(&self, root: &Path) -> anyhow::Result<()> {
        Ok(fs::write(
            path(root),
            serde_json::to_string_pretty(self)? + "\n",
        )?)
    }
}

fn path(root: &Path) -> PathBuf {
    root.join("tracer/ebpf/BUILD.json")
}

/// SHA-256 of the sources of the object: both crates, and the locked versions
/// of what they depend on.
pub fn sources(root: &Path) -> anyhow::Result<String> {
    let mut files = Vec::new();
    for part in ["tracer-ebpf", "tracer-common"] {
        collect(&root.join(part), &mut files)?;
    }
    files.sort();
    let mut hash = Sha256::new();
    for file in &files {
        hash.update(file.strip_prefix(root)?.to_string_lossy().as_bytes());
        hash.update([0]);
        hash.update(fs::read(file)?);
        hash.update([0]);
    }
    let lock = fs::read_to_string(root.join("Cargo.lock"))?;
    for package in lock
        .split("[[package]]")
        .filter(|package| package.contains("name = \"aya-ebpf"))
    {
        hash.update(package.trim());
    }
    Ok(hex(&hash.finalize()))
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "rs" || extension == "toml")
        {
            files.push(path);
        }
    }
    Ok(())
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
