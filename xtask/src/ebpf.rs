//! Building the eBPF object, and telling whether the committed one is stale.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};

use crate::{
    record::{self, Record},
    strip::strip,
    toolchain::{self, Toolchain},
};

/// Where the committed object stands.
const COMMITTED: &str = "tracer/ebpf/memtrace.bpf.o";
/// Where `--check` leaves the one it built; the suite runs on it.
const CHECKED: &str = "target/ebpf/checked.bpf.o";

/// Where the one stands that is wrong on purpose.
const PER_CPU_SCRATCH: &str = "target/ebpf/per-cpu-scratch.bpf.o";

/// Builds the object with the flaw that the test of preemption must find.
pub fn build_flawed() -> anyhow::Result<()> {
    let root = root()?;
    let object = compile(&root, &toolchain::find()?, &["per-cpu-scratch"])?;
    fs::write(root.join(PER_CPU_SCRATCH), object)?;
    println!("{PER_CPU_SCRATCH}: wrong on purpose");
    Ok(())
}

/// Builds the object and its record for committing.
pub fn build() -> anyhow::Result<()> {
    let root = root()?;
    let toolchain = toolchain::find()?;
    let object = compile(&root, &toolchain, &[])?;
    fs::create_dir_all(root.join("tracer/ebpf"))?;
    fs::write(root.join(COMMITTED), &object)?;
    Record::new(&root, &toolchain, &object)?.write(&root)?;
    println!(
        "{COMMITTED}: {} bytes, by {}",
        object.len(),
        toolchain.version
    );
    Ok(())
}

/// Rebuilds the object and fails if the committed one is not of these sources.
pub fn check() -> anyhow::Result<()> {
    let root = root()?;
    forget(&root.join(CHECKED))?;
    let record = Record::read(&root)?;
    let committed = fs::read(root.join(COMMITTED)).context(COMMITTED)?;
    if record::sha256(&committed) != record.object_sha256 {
        bail!(
            "{COMMITTED} is not the object that its record tells of: run cargo xtask ebpf and commit both"
        );
    }
    if record::sources(&root)? != record.sources_sha256 {
        bail!("{COMMITTED} is stale, its sources have changed: run cargo xtask ebpf and commit it");
    }
    let toolchain = toolchain::find()?;
    let object = compile(&root, &toolchain, &[])?;
    fs::write(root.join(CHECKED), &object)?;
    if (&record.compiler, &record.linker) != (&toolchain.version, &toolchain.linker) {
        println!(
            "the committed object was built by {}; here is {}: sources agree, bytes are not compared",
            record.compiler, toolchain.version
        );
    } else if object == committed {
        println!("the committed object is what its sources give, byte for byte");
    } else {
        bail!("the same compiler gives another object: run cargo xtask ebpf and commit it");
    }
    Ok(())
}

fn compile(root: &Path, toolchain: &Toolchain, features: &[&str]) -> anyhow::Result<Vec<u8>> {
    let target = root.join("target/ebpf");
    let cargo_home = env::var("CARGO_HOME")
        .or_else(|_| env::var("HOME").map(|home| format!("{home}/.cargo")))?;
    // No path of this machine in the object. Flags are parted by 0x1f, as
    // cargo has it, because paths may contain spaces.
    let flags = [
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        format!("--remap-path-prefix={}=/memtrace", root.display()),
        format!("--remap-path-prefix={cargo_home}=/cargo"),
        format!("--remap-path-prefix={}=/rust", toolchain.sysroot),
    ]
    .join("\x1f");
    let status = Command::new("cargo")
        .current_dir(root)
        .args([
            "build",
            "--release",
            "--quiet",
            "--locked",
            "-Z",
            "build-std=core",
            "--package",
            "tracer-ebpf",
        ])
        .arg(format!("--features={}", features.join(",")))
        .args(["--target", "bpfel-unknown-none", "--target-dir"])
        .arg(&target)
        .env("RUSTC", &toolchain.rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags)
        .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", "bpf-linker")
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("RUSTC_WRAPPER")
        .status()
        .context("cargo")?;
    if !status.success() {
        bail!("the eBPF object does not build");
    }
    strip(&fs::read(
        target.join("bpfel-unknown-none/release/memtrace-ebpf"),
    )?)
}

/// Takes an earlier check's object away, so that nobody tests on it.
fn forget(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| path.display().to_string())
        }
        _ => Ok(()),
    }
}

/// The workspace's directory.
pub fn root() -> anyhow::Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here
        .parent()
        .context("xtask stands in the workspace")?
        .to_path_buf())
}
