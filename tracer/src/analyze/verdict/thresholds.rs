//! From where on something is worth a verdict, each with its reason. Bytes.

/// Lasting bytes of sites that grow steadily, and the part of the resident set: the
/// ledger knows them exactly, so little is enough, but nobody looks for less.
pub const LEAK_BYTES: u64 = 2 << 20;
/// See there.
pub const LEAK_PART: f64 = 0.01;
/// Of what hangs on objects of a collected heap (V8's array buffers): less than this can
/// be garbage that nobody has looked for yet. V8 does when 64 MiB were added
/// (`kExternalAllocationSoftLimit`), and young objects' at each scavenge, 16 MiB apart.
pub const COLLECTED_BYTES: u64 = 16 << 20;
/// Below that, what is still worth a longer trace: 0.4 KB/s over 20 s. No healthy program of the
/// corpus keeps so much in a line.
pub const SLOW_BYTES: u64 = 8 << 10;
/// Eighths of the window of which a leak has left something. One or two may be
/// empty: requests come in bursts.
pub const EVENNESS: f64 = 0.7;
/// What the newer half of a window left for each byte of the older: a cache that fills
/// up leaves less and less, one that evicts keeps the newest.
pub const TREND: std::ops::RangeInclusive<f64> = 0.4..=2.5;

/// Frees of blocks from before the trace for each block that is new and live: where the
/// heap cannot be walked, new blocks that take old ones' places are no growth.
pub const REPLACED: f64 = 0.5;
/// Of what a collector frees, the ages differ by no more than this factor where it is a leak:
/// what is not collected yet hides its line, and it may be collected but once in a window.
pub const SPREAD: f64 = 1.5;
/// The slope of a site's live bytes by its standard error: below it is noise.
pub const SURE: f64 = 2.0;
/// And from here on a line: a curve that levels off has 8 or so.
pub const SURE_LINE: f64 = 15.0;
/// What the last third of the window adds, of what each of the others did: a cache that
/// is full adds nothing, a leak that slows down something.
pub const GOES_ON: f64 = 0.1;
/// Within the second half of the window all live blocks together move by less than this part of
/// what a leak would add there: nothing grows any more.
pub const LEVEL_PART: f64 = 0.25;
/// Freed of what a site allocated, of what is live of it: a cache that is full frees as it
/// allocates. What frees less, and has as much of the youngest age as of each other, grows.
pub const KEEPS: f64 = 0.1;
/// Of what its troughs rose from the first third of the window to the second, what they
/// have to rise from there to the last.
pub const STRAIGHT: f64 = 0.6;

/// Rise of a place's troughs, and the part of the resident set: below it are
/// stacks, code and the noise of a collector.
pub const RISE_BYTES: u64 = 16 << 20;
/// See there.
pub const RISE_PART: f64 = 0.05;
/// The last third of a window has to rise at least so much of what the one before did.
pub const STEADY: f64 = 0.4;
/// Of a rise, what may have come within a quarter of the window: more is a step, as of a
/// program that starts or maps a file.
pub const STEP: f64 = 0.75;
/// The heap has to have been looked at over so much of the time in which the resident set
/// was, to tell how it grew: a process that came late may have been looked at once.
pub const WALKED_PART: f64 = 0.5;

/// Free and resident, and the part of the resident set: a small healthy arena can be
/// 90% free (`facts/verdicts.md`).
pub const FREE_BYTES: u64 = 64 << 20;
/// See there.
pub const FREE_PART: f64 = 0.3;
/// Of what is free and resident, on pages that live blocks pin: then it is
/// fragmentation, and a trim does not help.
pub const PINNED_PART: f64 = 0.3;

/// In sockets' queues, and the part of the resident set.
pub const QUEUE_BYTES: u64 = 16 << 20;
/// See there.
pub const QUEUE_PART: f64 = 0.1;
/// Held up by peers that do not read: one connection's limit is 4 MiB (`tcp_wmem`).
pub const STALLED_BYTES: u64 = 1 << 20;
/// Of orphans, and in accept queues: nobody wants any.
pub const UNOWNED_BYTES: u64 = 8 << 20;

/// A shorter window clears nobody, seconds.
pub const WINDOW_SECONDS: f64 = 5.0;
/// The first moment of a process that was there from the start is not later than this,
/// seconds: one second passes between two, and on a busy machine more.
pub const CAME_LATE_SECONDS: f64 = 3.0;
/// No longer trace is asked for, seconds.
pub const WINDOW_ASKED_MAX: f64 = 3600.0;

/// Samples of V8's allocation from which shares are told: at 30 a half is told to within
/// a fifth, two times in three.
pub const SAMPLES: u64 = 30;

/// Blocks that a site's figures are made of, in a trace in slices of time: below these a
/// third of them is chance.
pub const BLOCKS_FEW: f64 = 10.0;
/// And from here on a tenth.
pub const BLOCKS_MANY: f64 = 100.0;
/// What sites seem to hold, by what the allocator's memory is measured to have grown, from
/// where on most of it was freed unseen. Chance alone makes it twice as much.
pub const UNSEEN: f64 = 3.0;

/// Of two runs, the part of the resident set by which a place has to differ, where one
/// process's is [`RISE_PART`]: load and chance differ too.
pub const RUNS_PART: f64 = 0.1;
/// A process that is younger when its first recording begins may be warming up, seconds.
pub const WARM_SECONDS: f64 = 60.0;
/// The shorter of two windows by the longer, from where on they are alike.
pub const ALIKE: f64 = 0.95;

/// The larger of a number of bytes and a part of the resident set.
#[must_use]
pub fn at_least(bytes: u64, part: f64, resident: u64) -> u64 {
    bytes.max((resident as f64 * part) as u64)
}
