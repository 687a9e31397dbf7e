//! `xtask/bench/load.c` (with `echo.c`), the program under trace, built with frame pointers.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};

use super::{Bench, measure::median, processes::Program};

/// Pairs in each thread for each answer: long enough to measure, and no longer.
pub const PAIRS_UNTRACED: u32 = 2_000_000;
/// As [`PAIRS_UNTRACED`], where a pair takes microseconds.
pub const PAIRS_TRACED: u32 = 100_000;
/// Calls of itself before the loop: stacks of 17 frames, which `pair` checks.
const DEPTH: &str = "9";
/// Answers of which the median is taken.
const ANSWERS: usize = 5;
/// Answers a second without which that second has no median.
const ANSWERS_A_SECOND: usize = 3;

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
        self.answer()?;
        let answers: Result<Vec<_>, _> = (0..ANSWERS).map(|_| self.answer()).collect();
        Ok(middle(&answers?))
    }

    /// Works until then.
    pub fn work_until(&mut self, then: Instant) -> anyhow::Result<()> {
        while Instant::now() < then {
            self.answer()?;
        }
        Ok(())
    }

    /// The cost over so many seconds from now on: the median of each, and the mean of
    /// those, so that what runs in one second of them counts as much as it lasts; the
    /// median of all would leave it out. Within a second the median and not the least:
    /// what else runs on the machine lengthens a few answers, and a probe that comes
    /// somewhat after the second has begun is not there in the fastest.
    pub fn cost_over(&mut self, seconds: usize) -> anyhow::Result<Cost> {
        let start = Instant::now();
        let mut answers: Vec<Vec<Cost>> = Vec::new();
        answers.resize_with(seconds, Vec::new);
        // An answer belongs to the second in which it begins.
        while let Some(second) = answers.get_mut(start.elapsed().as_secs() as usize) {
            second.push(self.answer()?);
        }
        let fewest = answers.iter().map(Vec::len).min().unwrap_or(0);
        ensure!(
            fewest >= ANSWERS_A_SECOND,
            "{fewest} answers in one of {seconds} seconds: the machine is too busy"
        );
        let medians: Vec<Cost> = answers.iter().map(|second| middle(second)).collect();
        let mean = |of: fn(&Cost) -> f64| medians.iter().map(of).sum::<f64>() / seconds as f64;
        Ok(Cost {
            cpu_ns: mean(|cost| cost.cpu_ns),
            wall_ns: mean(|cost| cost.wall_ns),
        })
    }

    /// The CPU time of a pair over so many seconds from now on, ns: the mean of all, so
    /// that what runs for a few ms in a second counts.
    pub fn mean_over(&mut self, seconds: u64) -> anyhow::Result<f64> {
        let end = Instant::now() + Duration::from_secs(seconds);
        let (mut sum, mut answers) = (0.0, 0.0);
        while Instant::now() < end || answers == 0.0 {
            sum += self.answer()?.cpu_ns;
            answers += 1.0;
        }
        Ok(sum / answers)
    }

    fn answer(&mut self) -> anyhow::Result<Cost> {
        let [cpu_ns, wall_ns] = self.0.numbers()?[..] else {
            bail!("load.c answers two numbers");
        };
        Ok(Cost { cpu_ns, wall_ns })
    }
}

/// The median of each.
fn middle(answers: &[Cost]) -> Cost {
    let of = |of: fn(&Cost) -> f64| median(answers.iter().map(of).collect());
    Cost {
        cpu_ns: of(|cost| cost.cpu_ns),
        wall_ns: of(|cost| cost.wall_ns),
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
