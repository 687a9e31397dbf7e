//! `cargo xtask corpus`: programs with a known answer (`tests/scenarios`) under memtrace at its
//! default settings, and whether it told that answer.

mod build;
mod case;
mod check;
mod judge;
mod record;
mod results;
mod scenario;
mod trace;
mod truth;

use std::{
    env,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use anyhow::ensure;
use flate2::{Compression, write::GzEncoder};

use build::Workplace;
use case::{Case, Part};
use judge::Outcome;
use results::Results;

/// What is to be run, and how.
#[derive(clap::Args)]
pub struct Options {
    /// Only this case; may be given again.
    #[arg(long = "case", value_name = "NAME")]
    cases: Vec<String>,
    /// How often each case is run, each time with another seed.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Only one of so many parts, as 2/3.
    #[arg(long, value_name = "I/N")]
    part: Option<Part>,
    /// Only the few that CI runs: one or two of each kind, with short windows.
    #[arg(long)]
    live: bool,
    /// Go on with a file of results: what is in it is not run again.
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
    /// So many cases at the same time, of those that bear it.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Keep what the verdict on each goes by here, with its truth: see `tests/scenarios/recorded`.
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// Trace nothing: see whether the programs do what they say of themselves.
    #[arg(long)]
    check: bool,
    /// Tell the cases, and run none.
    #[arg(long)]
    list: bool,
}

/// Runs what is asked for; an error if anything is wrong.
pub fn run(root: &Path, options: &Options) -> anyhow::Result<()> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let place = Workplace {
        scenarios: root.join("tests/scenarios"),
        built: target.join("scenarios"),
    };
    let mut cases = case::read(&place.scenarios.join("cases.toml"))?;
    cases.retain(|case| case.live || !options.live);
    let cases = case::choose(cases, &options.cases, options.part)?;
    if options.list {
        for case in &cases {
            println!(
                "{:<24} {:<16} {}",
                case.name,
                case.expected[0].name(),
                case.why
            );
        }
        return Ok(());
    }
    allow_many_files()?;
    place.build(&cases)?;
    if options.check {
        return check_all(&place, &cases, options);
    }
    let corpus = Corpus {
        memtrace: memtrace(root, &target)?,
        wrong: target.join("scenarios/wrong"),
        place,
        record: options.record.clone(),
    };
    for directory in corpus.record.iter().chain([&corpus.wrong]) {
        fs::create_dir_all(directory)?;
    }
    let path = options.resume.clone();
    let path = path.unwrap_or_else(|| corpus.place.built.join("results.jsonl"));
    let results = Results::open(&path, options.resume.is_some())?;
    let new = corpus.run_all(&cases, options, &results)?;
    let mut all = results.earlier;
    all.retain(|outcome| cases.iter().any(|case| case.name == outcome.case));
    all.extend(new);
    tell(&cases, &all, &path)
}

/// Tens of thousands of connections are some of the cases.
fn allow_many_files() -> anyhow::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current, maximum })?)
}

/// The one that is named, or built here as the suite does.
fn memtrace(root: &Path, target: &Path) -> anyhow::Result<PathBuf> {
    if let Some(path) = env::var_os("MEMTRACE_BIN") {
        return Ok(path.into());
    }
    let build = std::process::Command::new("cargo")
        .current_dir(root)
        .args(["build", "--locked", "--quiet", "-p", "tracer"])
        .status()?;
    ensure!(build.success(), "memtrace does not build");
    Ok(target.join("debug/memtrace"))
}

fn check_all(place: &Workplace, cases: &[Case], options: &Options) -> anyhow::Result<()> {
    let wrong = Mutex::new(Vec::new());
    side_by_side(cases, options, |case, seed| {
        let (is_right, line) = check::check(place, case, seed)
            .unwrap_or_else(|error| (false, format!("WRONG  {:<24} {error:#}", case.name)));
        println!("{line}");
        if !is_right {
            lock(&wrong).push(format!("{} (seed {seed})", case.name));
        }
        Ok(())
    })?;
    let wrong = lock(&wrong);
    ensure!(wrong.is_empty(), "not as they say: {}", wrong.join(", "));
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Every case with every seed: those that must be alone one after the other, then the others.
fn side_by_side(
    cases: &[Case],
    options: &Options,
    work: impl Fn(&Case, u64) -> anyhow::Result<()> + Sync,
) -> anyhow::Result<()> {
    let runs = |alone: bool| {
        let cases = cases.iter().filter(move |case| case.alone == alone);
        let seeds = 1..=options.seeds;
        let runs = cases.flat_map(move |case| seeds.clone().map(move |seed| (case, seed)));
        runs.collect::<Vec<_>>()
    };
    for (case, seed) in runs(true) {
        work(case, seed)?;
    }
    let (others, next) = (runs(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let worker = || {
            while let Some((case, seed)) = others.get(next.fetch_add(1, Ordering::Relaxed)) {
                work(case, *seed)?;
            }
            anyhow::Ok(())
        };
        let workers: Vec<_> = (0..options.jobs.max(1))
            .map(|_| scope.spawn(worker))
            .collect();
        for worker in workers {
            worker
                .join()
                .map_err(|_| anyhow::anyhow!("a worker panicked"))??;
        }
        Ok(())
    })
}

struct Corpus {
    place: Workplace,
    memtrace: PathBuf,
    record: Option<PathBuf>,
    /// Reports of what was judged wrong, to be looked at.
    wrong: PathBuf,
}

impl Corpus {
    fn run_all(
        &self,
        cases: &[Case],
        options: &Options,
        results: &Results,
    ) -> anyhow::Result<Vec<Outcome>> {
        let outcomes = Mutex::new(Vec::new());
        side_by_side(cases, options, |case, seed| {
            if results.has(&case.name, seed) {
                return Ok(());
            }
            let started = Instant::now();
            // A case that cannot be run is wrong, and no reason not to run the others.
            let mut outcome = self.run_one(case, seed).unwrap_or_else(|error| Outcome {
                case: case.name.clone(),
                seed,
                wrong: vec![format!("{error:#}")],
                ..Outcome::default()
            });
            outcome.seconds = started.elapsed().as_secs_f64();
            results.add(&outcome)?;
            lock(&outcomes).push(outcome);
            Ok(())
        })?;
        Ok(outcomes
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn run_one(&self, case: &Case, seed: u64) -> anyhow::Result<Outcome> {
        let run = trace::run(&self.memtrace, &self.place, case, seed)?;
        let outcome = judge::judge(case, seed, &run)?;
        let name = format!("{}-{seed}", case.name);
        if let Some(directory) = &self.record {
            record::keep(directory, &name, &run)?;
        }
        if !outcome.wrong.is_empty() {
            keep(&self.wrong, &name, &run)?;
            record::keep(&self.wrong, &name, &run)?;
        }
        Ok(outcome)
    }
}

/// The report as it is.
fn keep(directory: &Path, name: &str, run: &trace::Run) -> anyhow::Result<()> {
    let file = File::create(directory.join(format!("{name}.report.json.gz")))?;
    let mut packed = GzEncoder::new(file, Compression::best());
    packed.write_all(&serde_json::to_vec(&run.report)?)?;
    packed.finish()?;
    Ok(())
}

fn tell(cases: &[Case], outcomes: &[Outcome], path: &Path) -> anyhow::Result<()> {
    println!("\n{}\n", results::confusion(cases, outcomes));
    let wrong: Vec<&Outcome> = outcomes
        .iter()
        .filter(|one| !one.wrong.is_empty())
        .collect();
    for outcome in &wrong {
        println!("{}", results::line(outcome));
    }
    let count = outcomes.len();
    println!(
        "{} of {count} right, written to {}",
        count - wrong.len(),
        path.display()
    );
    ensure!(wrong.is_empty(), "{} of {count} are wrong", wrong.len());
    Ok(())
}
