//! The targets, and where each starts from.

mod elf;
mod heap;
mod history;
mod ledger;
mod maps;
mod perf_map;
mod placement;
mod recording;
mod sockets;
mod unwind;
mod v8;

use crate::seeds;

/// A function of bytes that panics when a promise is broken.
pub struct Target {
    /// What it is called on the command line.
    pub name: &'static str,
    /// The function.
    pub run: fn(&[u8]),
    /// Inputs to start from.
    pub seeds: fn() -> anyhow::Result<Vec<Vec<u8>>>,
    /// Words that the format knows.
    pub words: &'static [&'static str],
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target {
        name: "elf",
        run: elf::run,
        seeds: seeds::objects,
        words: elf::WORDS,
    },
    Target {
        name: "perf-map",
        run: perf_map::run,
        seeds: perf_map::seeds,
        words: perf_map::WORDS,
    },
    Target {
        name: "placement",
        run: placement::run,
        seeds: placement::seeds,
        words: &[],
    },
    Target {
        name: "maps",
        run: maps::run,
        seeds: maps::seeds,
        words: maps::WORDS,
    },
    Target {
        name: "report",
        run: recording::run_report,
        seeds: recording::report_seeds,
        words: recording::WORDS,
    },
    Target {
        name: "recording",
        run: recording::run,
        seeds: recording::seeds,
        words: recording::WORDS,
    },
    Target {
        name: "unwind",
        run: unwind::run,
        seeds: unwind::seeds,
        words: &[],
    },
    Target {
        name: "unwind-table",
        run: unwind::run_table,
        seeds: seeds::objects,
        words: elf::WORDS,
    },
    Target {
        name: "v8",
        run: v8::run,
        seeds: v8::seeds,
        words: &[],
    },
    Target {
        name: "heap",
        run: heap::run,
        seeds: heap::seeds,
        words: &[],
    },
    Target {
        name: "history",
        run: history::run,
        seeds: history::seeds,
        words: history::WORDS,
    },
    Target {
        name: "ledger",
        run: ledger::run,
        seeds: ledger::seeds,
        words: &[],
    },
    Target {
        name: "socket-records",
        run: sockets::run_records,
        seeds: sockets::record_seeds,
        words: sockets::WORDS,
    },
    Target {
        name: "sock-diag",
        run: sockets::run_diag,
        seeds: sockets::diag_seeds,
        words: sockets::WORDS,
    },
    Target {
        name: "socket-text",
        run: sockets::run_text,
        seeds: sockets::text_seeds,
        words: sockets::TEXT_WORDS,
    },
];
