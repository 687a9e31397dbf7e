//! Building the programs of `programs/`, once a run each.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, OnceLock},
};

/// Frame pointers kept, calls left as they stand: exact stacks at the sites.
const FLAGS: &[&str] = &[
    "-Wall",
    "-Wextra",
    "-Werror",
    "-g",
    "-O1",
    "-fno-omit-frame-pointer",
    "-fno-optimize-sibling-calls",
    "-fno-builtin",
    "-pthread",
];

/// How to build a program.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Build {
    /// File in `programs/`, without `.c` or `.cpp`.
    pub name: &'static str,
    /// What tells this build from others of the file.
    pub variant: &'static str,
    /// After the usual flags.
    pub flags: &'static [&'static str],
}

/// Where the sources are.
#[must_use]
pub fn programs_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("programs")
}

/// Where a program is to be that a test builds itself.
#[must_use]
pub fn program_path(name: &str) -> PathBuf {
    directory().join(name)
}

/// Whether it is not to be built again. Under emulation a compiler takes
/// seconds: the VM lane brings what the host's run of the suite built.
#[must_use]
pub fn is_prebuilt(path: &Path) -> bool {
    std::env::var_os("MEMTRACE_PREBUILT").is_some() && path.exists()
}

/// Builds a program in the usual way; where it is.
#[must_use]
pub fn build(name: &str) -> PathBuf {
    build_file(name, "", &[])
}

/// Builds a program in another way; where it is.
#[must_use]
pub fn build_with(build: &Build) -> PathBuf {
    build_file(build.name, build.variant, build.flags)
}

fn build_file(name: &str, variant: &str, flags: &[&str]) -> PathBuf {
    type Built = HashMap<PathBuf, Arc<OnceLock<()>>>;
    static BUILT: OnceLock<Mutex<Built>> = OnceLock::new();
    let path = directory().join(format!("{name}{variant}"));
    let once = {
        let mut built = BUILT.get_or_init(Mutex::default).lock().unwrap();
        Arc::clone(built.entry(path.clone()).or_default())
    };
    once.get_or_init(|| compile(name, &path, flags));
    path
}

/// A directory of this run's own: another run may be using its programs.
fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let directory = target_dir().join("programs");
        std::fs::create_dir_all(&directory).unwrap();
        directory
    })
}

/// `target/debug`, or wherever the suite's own binary was built.
#[must_use]
pub fn target_dir() -> PathBuf {
    let suite = std::env::current_exe().unwrap();
    // target/debug/deps/suite-…
    suite.ancestors().nth(2).unwrap().to_owned()
}

fn compile(name: &str, path: &Path, flags: &[&str]) {
    if is_prebuilt(path) {
        return;
    }
    let c = programs_dir().join(format!("{name}.c"));
    let (compiler, source, standard) = if c.exists() {
        ("gcc", c, "-std=gnu17")
    } else {
        let cpp = programs_dir().join(format!("{name}.cpp"));
        ("g++", cpp, "-std=c++17")
    };
    // Renamed when whole: the file may be in use by a program that still runs.
    let unfinished = path.with_extension("new");
    let output = Command::new(compiler)
        .arg(standard)
        .args(FLAGS)
        .args(["-D_GNU_SOURCE"])
        .args(flags)
        .arg("-o")
        .arg(&unfinished)
        .arg(&source)
        .args(flags.contains(&"-shared").then_some("-ldl"))
        .output()
        .unwrap_or_else(|error| panic!("{compiler} is needed: {error}"));
    assert!(
        output.status.success(),
        "{compiler} {}: {}",
        source.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    std::fs::rename(&unfinished, path).unwrap();
}
