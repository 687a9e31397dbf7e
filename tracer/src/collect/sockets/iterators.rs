//! The host's sockets by BPF iterators: TCP's of each network namespace, then who has
//! them open.

use std::time::Duration;

use rustix::time::{ClockId, clock_getres};

use super::{
    SocketsError,
    assemble::{LeftOut, Told},
    host, namespaces, places,
};
use crate::{
    model::sockets::{Snapshot, Source},
    probe::sockets::{SocketIterators, read},
};

/// Reads everything.
pub fn snapshot(iterators: &mut SocketIterators) -> Result<Snapshot, SocketsError> {
    let mut told = Told::default();
    let mut notes = Vec::new();
    let found = namespaces::all().map_err(SocketsError::Processes)?;
    let mut failed: Option<String> = None;
    let mut failures = found.left_out;
    let mut entered = Vec::new();
    for namespace in found.all {
        let made = namespaces::within(&namespace, || iterators.tcp());
        let read = match made {
            Ok(Ok(iterator)) => {
                read(iterator, |record| told.add(record)).map_err(|error| error.to_string())
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match read {
            Ok(()) => entered.push(namespace),
            Err(error) => {
                failures += 1;
                failed.get_or_insert(error);
            }
        }
    }
    if entered.is_empty() {
        let why = failed.unwrap_or_else(|| "no network namespace".to_owned());
        return Err(SocketsError::Unreadable(why));
    }
    if told.has_waiting() {
        for namespace in &entered {
            let made = namespaces::within(namespace, || iterators.accept_queues());
            if let Ok(Ok(iterator)) = made {
                // What is not told goes by its address.
                let _ = read(iterator, |record| told.add(record));
            }
        }
    }
    let files = iterators.files()?;
    read(files, |record| told.add(record))
        .map_err(|error| SocketsError::Unreadable(error.to_string()))?;
    if failures > 0 {
        let why = failed.map_or(String::new(), |error| format!(": {error}"));
        notes.push(format!(
            "{failures} network namespaces could not be looked into, or not to the end{why}; {} open TCP sockets were found in none.",
            told.unseen()
        ));
    }
    notes.extend(left_out(told.left_out()));
    let mut sockets = told.sockets(tick());
    places::find_listeners(&mut sockets);
    Ok(Snapshot {
        sockets,
        host: host::read(&entered),
        source: Source::Iterators,
        notes,
    })
}

/// What there was no room for, a sentence each.
fn left_out(left_out: LeftOut) -> impl Iterator<Item = String> {
    let LeftOut {
        sockets,
        bytes,
        owners,
    } = left_out;
    let sockets = (sockets > 0).then(|| {
        format!("{sockets} sockets are left out, with {bytes} bytes: there are too many.")
    });
    let owners = (owners > 0).then(|| {
        format!("{owners} owners of sockets are left out: there are too many. Theirs are nobody's, or another's.")
    });
    sockets.into_iter().chain(owners)
}

/// The time between two jiffies: what the coarse clock ticks by (`LOW_RES_NSEC`,
/// kernel/time/posix-timers.c).
fn tick() -> Duration {
    let resolution = clock_getres(ClockId::MonotonicCoarse);
    Duration::new(
        resolution.tv_sec.max(0) as u64,
        resolution.tv_nsec.clamp(1, 999_999_999) as u32,
    )
}
