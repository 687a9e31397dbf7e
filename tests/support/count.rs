//! The second opinion: what the preloaded counting library saw, and what a
//! trace of the same run says of the same things.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tracer::model::{Counts, Report, Source};

use super::{Build, build_with};

/// The functions in the order of their numbers in `count_preload.c`.
const FUNCTIONS: [Source; 9] = [
    Source::Malloc,
    Source::Calloc,
    Source::Realloc,
    Source::Reallocarray,
    Source::Memalign,
    Source::PosixMemalign,
    Source::AlignedAlloc,
    Source::Valloc,
    Source::Pvalloc,
];

/// What a program allocated and gave back.
///
/// aligned_alloc is counted as memalign: in glibc before 2.38 they are one
/// function under two names, and a probe cannot tell them apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Blocks and bytes by function.
    pub allocated: BTreeMap<Source, (u64, u64)>,
    /// Blocks and bytes of these that were freed.
    pub freed: (u64, u64),
    /// Frees of blocks that were not counted.
    pub unmatched_frees: u64,
}

impl Tally {
    /// A trace's, of the last program in it.
    ///
    /// The unmatched frees are those of all programs; a trace from the start
    /// has none of the wrapper before it.
    #[must_use]
    pub fn traced(report: &Report) -> Self {
        let process = report.processes.last().unwrap().id;
        let sum = |wanted: Option<Source>| {
            let mut sum = Counts::default();
            (report.sites.iter())
                .filter(|site| site.process == process)
                .filter(|site| wanted.is_none_or(|wanted| site.source == wanted))
                .for_each(|site| sum += site.counts);
            sum
        };
        let by_function = |source| {
            let sum = sum(Some(source));
            (source, sum.allocated_blocks, sum.allocated_bytes)
        };
        let total = sum(None);
        Self {
            allocated: united(FUNCTIONS.into_iter().map(by_function)),
            freed: (total.freed_blocks, total.freed_bytes),
            unmatched_frees: report.unmatched_frees,
        }
    }

    /// Blocks allocated by all functions.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.allocated.values().map(|(blocks, _)| blocks).sum()
    }
}

/// What each function allocated, aligned_alloc as memalign.
fn united(counts: impl Iterator<Item = (Source, u64, u64)>) -> BTreeMap<Source, (u64, u64)> {
    let mut united = BTreeMap::<_, (u64, u64)>::new();
    for (source, blocks, bytes) in counts {
        let function = match source {
            Source::AlignedAlloc => Source::Memalign,
            other => other,
        };
        let sum = united.entry(function).or_default();
        sum.0 += blocks;
        sum.1 += bytes;
    }
    united
}

/// A file that the counting library fills.
pub struct Count(PathBuf);

impl Count {
    /// Counts the program of `command` in `directory`: the same command, by way
    /// of `env`, so that the library is in no other program.
    ///
    /// The program is run without glibc's caches of freed blocks: at its end a
    /// thread frees what is in its cache by glibc's own free, which no library
    /// sees. The cache itself remains, one block a thread.
    #[must_use]
    pub fn of(directory: &Path, command: &Command) -> (Self, Command) {
        let library = build_with(&Build {
            name: "count_preload",
            variant: ".so",
            flags: &["-shared", "-fPIC"],
        });
        let file = directory.join("counts");
        let mut counted = Command::new("/usr/bin/env");
        let variable = |name: &str, value: &Path| {
            let mut variable = OsStr::new(name).to_owned();
            variable.push(value);
            variable
        };
        counted
            .arg("GLIBC_TUNABLES=glibc.malloc.tcache_count=0")
            .arg(variable("COUNT_FILE=", &file))
            .arg(variable("LD_PRELOAD=", &library))
            .args(command.get_envs().filter_map(|(name, value)| {
                Some(variable(&format!("{}=", name.to_str()?), value?.as_ref()))
            }))
            .arg(command.get_program())
            .args(command.get_args());
        (Self(file), counted)
    }

    /// What was counted, once the program has ended, with the caches of the
    /// threads that ended before it as unmatched frees.
    #[must_use]
    pub fn read(&self) -> Tally {
        let bytes = fs::read(&self.0).unwrap();
        let numbers: Vec<u64> = bytes
            .chunks_exact(8)
            .map(|number| u64::from_ne_bytes(number.try_into().unwrap()))
            .collect();
        let (functions, rest) = numbers.split_at(2 * FUNCTIONS.len());
        let [
            freed_blocks,
            freed_bytes,
            unmatched_frees,
            untracked,
            ended_threads,
        ] = *rest
        else {
            panic!("the counting library wrote {numbers:?}");
        };
        assert_eq!(untracked, 0, "its own count has gaps");
        let by_function = |(source, count): (Source, &[u64])| (source, count[0], count[1]);
        Tally {
            allocated: united(
                FUNCTIONS
                    .into_iter()
                    .zip(functions.chunks_exact(2))
                    .map(by_function),
            ),
            freed: (freed_blocks, freed_bytes),
            unmatched_frees: unmatched_frees + ended_threads,
        }
    }
}
