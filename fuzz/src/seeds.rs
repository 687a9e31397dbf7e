//! What targets start from: well-formed inputs that reach deep into a parser.

use std::{fs, process::Command};

use anyhow::ensure;

/// A report with a field of every kind.
pub const REPORT: &[u8] = include_bytes!("../seeds/report.json");

/// A shared object and a program, with and without debug information, compiled
/// here: no compiled file needs to be kept with the source.
///
/// # Errors
/// There is no C compiler.
pub fn objects() -> anyhow::Result<Vec<Vec<u8>>> {
    const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/seeds/object.c");
    const KINDS: [&[&str]; 5] = [
        &["-g", "-O2", "-shared", "-fPIC", "-Wl,-soname,libc.so.6"],
        &["-O2", "-shared", "-fPIC", "-s"],
        &["-g", "-gz=zlib", "-O1", "-shared", "-fPIC"],
        &["-g", "-O1", "-static", "-Wl,-e,malloc"],
        &[
            "-g",
            "-O2",
            "-shared",
            "-fPIC",
            "-gdwarf-4",
            "-Wl,--hash-style=sysv",
        ],
    ];
    let directory = tempfile::tempdir()?;
    let object = directory.path().join("object");
    KINDS
        .iter()
        .map(|options| {
            let compiled = Command::new("cc")
                .args([
                    "-nostdlib",
                    "-fno-builtin",
                    "-Wl,--build-id=sha1",
                    SOURCE,
                    "-o",
                ])
                .arg(&object)
                .args(*options)
                .status()?;
            ensure!(compiled.success(), "cc cannot compile {SOURCE}");
            Ok(fs::read(&object)?)
        })
        .collect()
}
