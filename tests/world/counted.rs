//! A program traced and counted at once: the counts of
//! `programs/count_preload.c` beside memtrace's report of the same run.
//!
//! The program is started through `env`, which sets the preload, so that
//! neither memtrace nor `env` is counted: the report's last process is the
//! program.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::PathBuf,
    process::Command,
};

use tempfile::TempDir;
use tests::{Build, Memtrace, build_with};
use tracer::model::{Counts, Loss, LossCause, Report, Source};

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
/// Bytes of `struct counts`.
const LENGTH: usize = (2 * FUNCTIONS.len() + 5) * 8;

/// What was allocated, by function, in blocks and bytes; and what was freed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Of each of [`FUNCTIONS`].
    pub allocated: Vec<(Source, u64, u64)>,
    /// Blocks and bytes of these that were freed.
    pub freed: (u64, u64),
}

/// A program under trace, counting.
pub struct Counted {
    /// The trace.
    pub memtrace: Memtrace,
    counts: PathBuf,
    directory: TempDir,
}

/// Both counts of a program that has ended.
pub struct Both {
    /// The report.
    pub report: Report,
    /// By memtrace.
    pub traced: Tally,
    /// By the preloaded library.
    pub counted: Tally,
    /// Frees of blocks that the library had not counted.
    unmatched_frees: u64,
    /// Threads that used the allocator and ended before the program.
    ended_threads: u64,
}

impl Counted {
    /// Starts a program, with settings `NAME=VALUE`.
    pub fn start<S: AsRef<OsStr>>(settings: &[&str], program: &[S]) -> Self {
        let library = build_with(&Build {
            name: "count_preload",
            variant: ".so",
            flags: &["-shared", "-fPIC"],
        });
        let directory = TempDir::new().unwrap();
        let counts = directory.path().join("counts");
        File::create(&counts)
            .unwrap()
            .set_len(LENGTH as u64)
            .unwrap();
        let mut command = Command::new("/usr/bin/env");
        command
            .arg(format!("ALLOCATION_COUNTS={}", counts.display()))
            .arg(format!("LD_PRELOAD={}", library.display()))
            .arg("GLIBC_TUNABLES=glibc.malloc.tcache_count=0")
            .args(settings)
            .args(program);
        Self {
            memtrace: Memtrace::run(&["--max-overhead", "off"], &mut command),
            counts,
            directory,
        }
    }

    /// Waits for the end of a program that ends well.
    pub fn finish(self) -> Both {
        let finished = self.memtrace.finish();
        let report = finished.report();
        // A stack that was cut is counted all the same.
        let lost = |loss: &&Loss| loss.cause != LossCause::StackTruncated;
        assert_eq!(report.loss.iter().find(lost), None, "{}", finished.stderr);
        let bytes = fs::read(&self.counts).unwrap();
        let numbers: Vec<u64> = bytes
            .chunks_exact(8)
            .map(|bytes| u64::from_ne_bytes(bytes.try_into().unwrap()))
            .collect();
        let (functions, rest) = numbers.split_at(2 * FUNCTIONS.len());
        let [
            freed_blocks,
            freed_bytes,
            unmatched_frees,
            untracked,
            ended_threads,
        ] = rest
        else {
            panic!("{} numbers", numbers.len());
        };
        assert_eq!(*untracked, 0, "the library's table is too small");
        let counted = Tally {
            allocated: FUNCTIONS
                .into_iter()
                .zip(functions.chunks_exact(2))
                .map(|(source, count)| (source, count[0], count[1]))
                .collect(),
            freed: (*freed_blocks, *freed_bytes),
        };
        let traced = traced(&report);
        drop(self.directory);
        Both {
            report,
            traced,
            counted,
            unmatched_frees: *unmatched_frees,
            ended_threads: *ended_threads,
        }
    }
}

impl Both {
    /// Fails unless every function's blocks and bytes, and what was freed of
    /// them, are the same in both; and unless the program allocated that much.
    ///
    /// A thread that ends frees its cache by glibc's own free, which no library
    /// sees: one block (`tcache_thread_shutdown`), the cached ones having been
    /// turned off.
    pub fn assert_equal(&self, at_least_blocks: u64) {
        assert_eq!(self.traced, self.counted, "traced (left), counted (right)");
        let blocks: u64 = self.counted.allocated.iter().map(|count| count.1).sum();
        assert!(blocks >= at_least_blocks, "only {blocks} blocks");
        assert_eq!(
            self.report.unmatched_frees,
            self.unmatched_frees + self.ended_threads,
            "{} threads have ended",
            self.ended_threads
        );
    }
}

/// What the last process of a report allocated and freed.
fn traced(report: &Report) -> Tally {
    let process = report.processes.last().unwrap().id;
    let sites = || report.sites.iter().filter(|site| site.process == process);
    let mut total = Counts::default();
    sites().for_each(|site| total += site.counts);
    Tally {
        allocated: FUNCTIONS
            .into_iter()
            .map(|source| {
                let mut sum = Counts::default();
                sites()
                    .filter(|site| site.source == source)
                    .for_each(|site| sum += site.counts);
                (source, sum.allocated_blocks, sum.allocated_bytes)
            })
            .collect(),
        freed: (total.freed_blocks, total.freed_bytes),
    }
}
