//! Building the scenarios' programs, into `target/scenarios`.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail, ensure};

use super::case::{Allocator, Case, Need};

/// Optimised as what people run; tail calls are left calls, so that the function that
/// is to be found is in the stack.
const FLAGS: &[&str] = &[
    "-Wall",
    "-Wextra",
    "-Werror",
    "-g",
    "-O2",
    "-fno-builtin",
    "-fno-optimize-sibling-calls",
    "-D_GNU_SOURCE",
];
const MUSL: [&str; 2] = [
    "-specs=/usr/lib/x86_64-linux-musl/musl-gcc.specs",
    "-static",
];
const LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu";
/// What `tikv-jemallocator` gives other names, as far as the scenarios call it.
const RENAMED: [&str; 4] = ["malloc", "calloc", "realloc", "free"];

/// Where things are that a scenario needs.
pub struct Workplace {
    /// `tests/scenarios`.
    pub scenarios: PathBuf,
    /// `target/scenarios`.
    pub built: PathBuf,
}

impl Workplace {
    /// Builds all that these cases need.
    pub fn build(&self, cases: &[Case]) -> anyhow::Result<()> {
        fs::create_dir_all(&self.built)?;
        for case in cases {
            self.build_case(case)
                .with_context(|| format!("case {}", case.name))?;
        }
        Ok(())
    }

    fn build_case(&self, case: &Case) -> anyhow::Result<()> {
        if let Some(library) = &case.library {
            let mut command = compiler("gcc", "gnu17");
            command.args(["-shared", "-fPIC", "-o"]);
            command
                .arg(self.library(library)?)
                .arg(self.scenarios.join(library));
            succeed(&mut command)?;
        }
        if case.needs.contains(&Need::Clients) {
            let source = self.scenarios.join("c/clients.c");
            succeed(
                compiler("gcc", "gnu17")
                    .arg("-o")
                    .args([&self.clients(), &source]),
            )?;
        }
        if case.needs.contains(&Need::Npm) {
            self.install_npm()?;
        }
        match language(&case.program)? {
            "c" => self.compile(case, "gcc", "gnu17"),
            "cpp" => self.compile(case, "g++", "c++17"),
            "rs" => self.compile_rust(case),
            _ => Ok(()),
        }
    }

    fn compile(&self, case: &Case, name: &str, standard: &str) -> anyhow::Result<()> {
        let mut command = compiler(name, standard);
        command.arg("-pthread").arg("-o").arg(self.program(case)?);
        command.arg(self.scenarios.join(&case.program));
        if case.allocator == Allocator::Musl {
            command.args(MUSL);
        }
        if let Some(library) = &case.library {
            command
                .arg(self.library(library)?)
                .arg("-Wl,-rpath,$ORIGIN");
        }
        succeed(&mut command)
    }

    fn compile_rust(&self, case: &Case) -> anyhow::Result<()> {
        let mut command = Command::new("rustc");
        command.args(["--edition=2024", "-Copt-level=2", "-g"]);
        if case.allocator == Allocator::Jemalloc {
            let renamed = self.built.join("librjem.a");
            let mut objcopy = Command::new("objcopy");
            objcopy.args(RENAMED.map(|name| format!("--redefine-sym={name}=_rjem_{name}")));
            let original = Path::new(LIBRARIES).join("libjemalloc_pic.a");
            succeed(objcopy.args([&original, &renamed]))?;
            command.arg("-L").arg(&self.built);
            command.args(["-lstatic=rjem", "-lstdc++", "-lm"]);
        }
        command.arg("-o").arg(self.program(case)?);
        succeed(command.arg(self.scenarios.join(&case.program)))
    }

    /// The modules that package-lock.json pins, fetched when that file has changed.
    fn install_npm(&self) -> anyhow::Result<()> {
        let directory = self.built.join("npm");
        fs::create_dir_all(&directory)?;
        let mut changed = !directory.join("node_modules").exists();
        for file in ["package.json", "package-lock.json"] {
            let wanted = fs::read(self.scenarios.join("npm").join(file))?;
            if fs::read(directory.join(file)).ok().as_ref() != Some(&wanted) {
                fs::write(directory.join(file), wanted)?;
                changed = true;
            }
        }
        if !changed {
            return Ok(());
        }
        let mut npm = Command::new("npm");
        npm.args([
            "ci",
            "--silent",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
        ]);
        succeed(npm.current_dir(&directory))
    }

    /// The command that runs a case, with all of its environment but the seed and the truth.
    pub fn command(&self, case: &Case) -> anyhow::Result<Command> {
        let script = self.scenarios.join(&case.program);
        let mut command = match language(&case.program)? {
            "js" => Command::new("node"),
            "py" => Command::new("/usr/bin/python3"),
            _ => Command::new(self.program(case)?),
        };
        if matches!(language(&case.program)?, "js" | "py") {
            command.arg(script);
        }
        command.args(&case.arguments);
        command.env("SCENARIO_CLIENTS", self.clients());
        let modules = self.built.join("npm/node_modules");
        command
            .env("SCENARIO_NPM", &modules)
            .env("NODE_PATH", modules);
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        if let Some(library) = &case.library {
            command.env("SCENARIO_LIBRARY", self.library(library)?);
        }
        if case.allocator == Allocator::Jemalloc && language(&case.program)? != "rs" {
            let library = Path::new(LIBRARIES).join("libjemalloc.so.2");
            ensure!(
                library.exists(),
                "no {}: install libjemalloc2",
                library.display()
            );
            command.env("LD_PRELOAD", library);
        }
        Ok(command)
    }

    fn program(&self, case: &Case) -> anyhow::Result<PathBuf> {
        let mut name = stem(&case.program)?.to_owned();
        if case.allocator == Allocator::Musl {
            name += "-musl";
        }
        Ok(self.built.join(name))
    }

    fn library(&self, source: &str) -> anyhow::Result<PathBuf> {
        Ok(self.built.join(format!("lib{}.so", stem(source)?)))
    }

    fn clients(&self) -> PathBuf {
        self.built.join("clients")
    }
}

fn language(program: &str) -> anyhow::Result<&str> {
    let extension = Path::new(program).extension().and_then(OsStr::to_str);
    extension.with_context(|| format!("in which language is {program}"))
}

fn stem(source: &str) -> anyhow::Result<&str> {
    let stem = Path::new(source).file_stem().and_then(OsStr::to_str);
    stem.with_context(|| format!("no file: {source}"))
}

fn compiler(name: &str, standard: &str) -> Command {
    let mut command = Command::new(name);
    command.arg(format!("-std={standard}")).args(FLAGS);
    command
}

fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
