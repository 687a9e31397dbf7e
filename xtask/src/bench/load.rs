//! `xtask/bench/load.c` (with `echo.c`), the program under trace, built with frame pointers.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};

use super::{Bench, measure::median, processes::Program};

/// Pairs in each thread for each answer: long enough to measure, and no longer.
pub const PAIRS_UNTRACED: u32 = 2_000_000;
/// As [`PAIRS_UNTRACED`], where a pair takes microseconds.
pub const PAIRS_TRACED: u32 = 100_000;
/// Calls of itself before the loop: stacks of 17 frames, which `pair` checks.
const DEPTH: &str = "9";
/// Answers of which the median is taken.
const ANSWERS: usize = 5;

/// Time of a pair.
pub struct Cost {
    /// CPU time of all threads over all pairs, ns.
    pub cpu_ns: f64,
    /// Time on the wall over all pairs, ns.
    pub wall_ns: f64,
}

/// The program, making malloc+free pairs.
pub struct Load(Program);

impl Load {
    /// Starts it.
    pub fn pairs(bench: &Bench, pairs: u32, threads: u32) -> anyhow::Result<Self> {
        Self::start(Command::new(&bench.load).args(pair_arguments(pairs, threads)))
    }

    /// Starts it by a command of another tool, which may speak first.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        let (mut program, line) = Program::start(command)?;
        program.skip_to(line, "up")?;
        Ok(Self(program))
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// The cost of a pair now: one answer to warm up, then the median of some.
    pub fn cost(&mut self) -> anyhow::Result<Cost> {
        self.0.numbers()?;
        let (mut cpu, mut wall) = (Vec::new(), Vec::new());
        for _ in 0..ANSWERS {
            let answer = self.0.numbers()?;
            ensure!(answer.len() == 2, "load.c answers two numbers");
            cpu.push(answer[0]);
            wall.push(answer[1]);
        }
        Ok(Cost {
            cpu_ns: median(cpu),
            wall_ns: median(wall),
        })
    }
}

/// Arguments that make it do pairs.
pub fn pair_arguments(pairs: u32, threads: u32) -> [String; 4] {
    [
        "pairs".to_owned(),
        pairs.to_string(),
        DEPTH.to_owned(),
        threads.to_string(),
    ]
}

/// Compiles it.
pub fn build(root: &Path, target: &Path) -> anyhow::Result<PathBuf> {
    let program = target.join("bench-load");
    compile("gcc", root, &program)?;
    Ok(program)
}

/// Compiles it with a C compiler.
pub fn compile(compiler: &str, root: &Path, program: &Path) -> anyhow::Result<()> {
    let status = Command::new(compiler)
        .args([
            "-O1",
            "-g",
            "-pthread",
            "-fno-omit-frame-pointer",
            "-fno-optimize-sibling-calls",
            "-fno-builtin",
        ])
        .args([
            root.join("xtask/bench/load.c"),
            root.join("xtask/bench/echo.c"),
        ])
        .arg("-o")
        .arg(program)
        .status()
        .with_context(|| compiler.to_owned())?;
    ensure!(
        status.success(),
        "xtask/bench/load.c with echo.c does not compile"
    );
    Ok(())
}
