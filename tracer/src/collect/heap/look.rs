//! The look itself: which glibc, the walk, tried again while it is not clean, and
//! the resident set split.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use super::{
    client::{self, Done, HeapWorkerError},
    freeze::{FreezeError, Frozen},
    library,
    protocol::Job,
    smaps::{self, Backing, Weighed},
};
use crate::{
    collect::{CollectError, TargetProcess, mapped::residency::Residency, utc_now},
    heap::{WalkError, image::Image},
    model::heap::{Cost, Heap, PartlyUsed, Split, Walked},
};

/// How often a heap is walked that changes too fast.
const ATTEMPTS: u32 = 4;
/// Header of a chunk that is a mapping.
const MAPPED_HEADER: u64 = 16;

/// How to look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// Stop the target for the walk.
    pub freeze: bool,
    /// Keep what is read, to be walked again elsewhere.
    pub record: bool,
    /// Tell of so many pages that are partly in use one by one.
    pub partly_used_max: usize,
}

/// What was seen.
#[derive(Debug)]
pub struct Looked {
    /// The heap.
    pub heap: Heap,
    /// Pages that are partly in use, as many as were asked for.
    pub partly_used: PartlyUsed,
    /// What was read, if it was to be kept.
    pub recording: Option<Image>,
}

/// Why nothing can be told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookError {
    /// The target.
    #[error(transparent)]
    Collect(#[from] CollectError),
    /// No glibc.
    #[error(
        "process {0} has no glibc: its heap cannot be walked (of other allocators nothing can be read from outside)"
    )]
    NoGlibc(u32),
    /// The worker, or the heap.
    #[error(transparent)]
    Worker(#[from] HeapWorkerError),
    /// It could not be stopped.
    #[error(transparent)]
    Freeze(#[from] FreezeError),
}

/// Looks at a process's heap.
///
/// # Errors
/// See [`LookError`].
pub fn look(pid: u32, look: Look) -> Result<Looked, LookError> {
    let target = TargetProcess::open(pid)?;
    let maps = read(&target, "maps")?;
    let library = library::find(pid, &maps)?.ok_or(LookError::NoGlibc(pid))?;
    let frozen = match look.freeze {
        true => Some(Frozen::stop(pid)?),
        false => None,
    };
    let started = Instant::now();
    let mut best: Option<Done> = None;
    let mut attempts = 0;
    while attempts < ATTEMPTS && !best.as_ref().is_some_and(|it| it.walked.quality.is_clean) {
        attempts += 1;
        let maps = read(&target, "maps")?;
        let job = Job {
            version: library.version,
            mappings: library::mappings(&maps, &library),
            partly_used_max: look.partly_used_max,
        };
        match client::walk(pid, &job, look.record) {
            Ok(done) if best.as_ref().is_none_or(|it| doubt(&done) < doubt(it)) => {
                best = Some(done);
            }
            Ok(_) => {}
            // Between two of its own steps the arena looks like none.
            Err(HeapWorkerError::Refused(WalkError::NoArena)) if attempts < ATTEMPTS => {}
            Err(_) if target.has_ended() => return Err(CollectError::Gone(pid).into()),
            Err(error) => return Err(error.into()),
        }
        if frozen.is_some() {
            break;
        }
    }
    let weighed = smaps::parse(&read(&target, "smaps")?);
    let done = best.ok_or(HeapWorkerError::Refused(WalkError::NoArena))?;
    let split = split(pid, &done.walked, &weighed)?;
    let frozen = frozen.map(Frozen::go_on);
    // What was read may be of a successor.
    if target.has_ended() {
        return Err(CollectError::Gone(pid).into());
    }
    let heap = Heap {
        process: target.describe(0, format!("glibc {}", done.walked.version)),
        time_utc: utc_now(),
        split,
        cost: Cost {
            seconds: started.elapsed().as_secs_f64(),
            walk_seconds: done.time.as_secs_f64(),
            attempts,
            read_bytes: done.copied_bytes,
            worker_bytes: done.worker_bytes,
            stopped_seconds: frozen.as_ref().map(Duration::as_secs_f64),
        },
        walked: done.walked,
    };
    Ok(Looked {
        heap,
        partly_used: done.partly_used,
        recording: done.recording,
    })
}

/// How much of a walk is not sure.
fn doubt(done: &Done) -> (u64, u64, u64) {
    let quality = &done.walked.quality;
    let missing = quality.missing_bytes.unsigned_abs();
    (
        quality.unknown_bytes + missing,
        quality.lists_cut_off + quality.misplaced + quality.arenas_cut_off,
        quality.wrong_footers + quality.adjacent_free + quality.broken_bins,
    )
}

fn read(target: &TargetProcess, file: &str) -> Result<Vec<u8>, CollectError> {
    let pid = target.pid;
    std::fs::read(target.path(file)).map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => CollectError::NotPermitted {
            pid,
            reason: error.to_string(),
        },
        _ => CollectError::Gone(pid),
    })
}

/// Shares the resident set out.
fn split(pid: u32, walked: &Walked, mappings: &[Weighed]) -> Result<Split, CollectError> {
    let mut split = Split::default();
    for arena in &walked.arenas {
        let (pages, chunks) = (&arena.pages, &arena.chunks);
        let overhead = chunks.overhead_bytes.min(pages.used_bytes);
        split.overhead_bytes += overhead;
        split.live_bytes += pages.used_bytes - overhead;
        split.retained_bytes += pages.empty_bytes;
        split.pinned_bytes += pages.pinned_bytes;
        let foreign = chunks.foreign_bytes.min(pages.unknown_bytes);
        split.other_bytes += foreign;
        split.unknown_bytes += pages.unknown_bytes - foreign;
    }
    let mapped = &walked.mapped;
    let headers = (mapped.count * MAPPED_HEADER).min(mapped.resident_bytes);
    split.overhead_bytes += headers;
    split.live_bytes += mapped.resident_bytes - headers;

    let mut residency = Residency::open(pid, true).map_err(|_| CollectError::Gone(pid))?;
    for mapping in mappings {
        split.resident_bytes += mapping.resident_bytes;
        split.swapped_bytes += mapping.swapped_bytes;
        split.lazily_freed_bytes += mapping.lazily_freed_bytes;
        split.huge_bytes += mapping.huge_bytes;
        match mapping.backing {
            Backing::Shared => split.shared_bytes += mapping.resident_bytes,
            Backing::File => {
                split.other_bytes += mapping.anonymous_bytes;
                split.file_bytes += mapping
                    .resident_bytes
                    .saturating_sub(mapping.anonymous_bytes);
            }
            Backing::Nothing => {
                let other = match beside(mapping, &walked.spans) {
                    Beside::All => mapping.resident_bytes,
                    Beside::Parts(parts) => {
                        let mut bytes = 0;
                        for (start, end) in parts {
                            bytes += residency.bytes(start, end).unwrap_or(0);
                        }
                        bytes
                    }
                };
                match mapping.is_javascript {
                    true => split.javascript_bytes += other,
                    false => split.other_bytes += other,
                }
            }
        }
    }
    split.unexplained_bytes = (split.resident_bytes as i64).wrapping_sub(split.explained() as i64);
    Ok(split)
}

/// What of a mapping is not the allocator's.
enum Beside {
    All,
    Parts(Vec<(u64, u64)>),
}

fn beside(mapping: &Weighed, spans: &[(u64, u64)]) -> Beside {
    let mut parts = Vec::new();
    let mut at = mapping.start;
    let first = spans.partition_point(|(_, end)| *end <= mapping.start);
    for &(start, end) in spans.iter().skip(first) {
        if start >= mapping.end {
            break;
        }
        if at < start {
            parts.push((at, start));
        }
        at = at.max(end);
    }
    if at == mapping.start {
        return Beside::All;
    }
    if at < mapping.end {
        parts.push((at, mapping.end));
    }
    Beside::Parts(parts)
}
