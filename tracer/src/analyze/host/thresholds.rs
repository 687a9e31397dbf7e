//! From where on something on a host is worth a closer look, each with its reason. Spans of
//! time are in looks, so that they follow `--every`.

pub use crate::analyze::verdict::thresholds::{
    QUEUE_BYTES, QUEUE_PART, RISE_BYTES, RISE_PART, STALLED_BYTES, STEP, at_least,
};

/// Looks of a process before it is told anything of: programs fill their caches and compile
/// their code when they start. A minute, with a look every 10 s.
pub const LOOKS_NEW: u32 = 6;
/// Points from which a trend is told: two minutes. Of fewer a third holds too few to have
/// a trough.
pub const POINTS_LEAST: usize = 12;
/// Points kept of each scale.
pub const POINTS: usize = 60;
/// Looks that a point stands for, by scale: a leak of 16 MiB in ten minutes, in an hour, and
/// in ten hours and more has its own. With a look every 10 s: 10 min, 1 h and 2 days.
pub const SCALES: [(u32, usize); 3] = [(1, POINTS), (6, POINTS), (60, 288)];

/// A spike is so many times what is usual.
pub const SPIKE_TIMES: u64 = 2;
/// And so much more than it: a program of 20 MiB may have 60 for a moment.
pub const SPIKE_BYTES: u64 = 64 << 20;
/// It is over when so much of it is gone: memory does not always come back whole.
pub const SPIKE_OVER: u64 = 4;
/// What stays up for longer than so many looks is no spike: 10 minutes.
pub const SPIKE_LOOKS: u32 = 60;

/// One that moved by so much between two looks, or by [`FAST_PART`] of what it has, is looked
/// at ten times as often for a while.
pub const FAST_BYTES: u64 = 4 << 20;
/// See there.
pub const FAST_PART: f64 = 0.05;
/// For so many looks.
pub const FAST_LOOKS: u32 = 6;
/// So many processes at once: each costs a read every time.
pub const FAST_MOST: usize = 256;

/// Connections that are more than this, and rise, and do not fall: a program forgets to close.
/// Ephemeral ports are 28,232 (`ip_local_port_range`), descriptors 1,024 by default.
pub const CONNECTIONS_RISE: u64 = 256;

/// A verdict on what no longer grows is told of for so long, looks: six hours.
pub const VERDICT_LOOKS: u32 = 6 * 360;

/// A closer look's first window, ms: what leaks as fast as the trend needs shows in it.
pub const WINDOW_MS: u64 = 60_000;
/// The longest: each that says "not enough data" doubles it.
pub const WINDOW_MS_MAX: u64 = 960_000;
/// After a look that found nothing a line is let alone for so long; each time twice as long.
pub const PAUSE_MS: u64 = 600_000;
/// At most for so long.
pub const PAUSE_MS_MAX: u64 = 6 * 3_600_000;
/// Costs are booked for so long, s.
pub const LEDGER_SECONDS: f64 = 3600.0;
/// No look takes a larger part of one processor than this while it lasts, whatever the
/// budget has left: a quarter of it would be felt.
pub const LOOK_SHARE_MOST: f64 = 0.2;
/// Nor is one worth beginning that may take less: its slices would be too few to tell much.
pub const LOOK_SHARE_LEAST: f64 = 0.01;
