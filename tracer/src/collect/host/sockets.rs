//! What each process's sockets hold: as often as a part of the budget pays for.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::line::SocketMemory;
use crate::{
    analyze,
    collect::sockets::{Reader, Way},
    model::socket_look::ProcessSockets,
};

/// Part of the budget that looks at sockets may take. On a host of 300 processes a look
/// takes some milliseconds, of a hundred thousand sockets a second.
const PART_OF_BUDGET: f64 = 0.1;
/// After looks that fail one after the other the next waits twice as long each time, up to
/// 2 to the power of this.
const DOUBLINGS: u32 = 6;

/// Looks at the host's sockets.
pub struct SocketWatch {
    reader: Option<Reader>,
    next: Instant,
    failures: u32,
}

/// What a look found.
#[derive(Debug, Default)]
pub struct Found {
    /// By process.
    pub by_pid: HashMap<u32, SocketMemory>,
    /// What is missing, if it is.
    pub notes: Vec<String>,
}

impl SocketWatch {
    /// Finds out how sockets can be read here; else says why not.
    pub fn new() -> Result<Self, String> {
        match Reader::new(Way::Best) {
            Ok(reader) => Ok(Self {
                reader: Some(reader),
                next: Instant::now(),
                failures: 0,
            }),
            Err(error) => Err(error.to_string()),
        }
    }

    /// One that never looks.
    pub fn none() -> Self {
        Self {
            reader: None,
            next: Instant::now(),
            failures: 0,
        }
    }

    /// Looks, if it is time.
    pub fn look(&mut self, every: Duration, budget: f64) -> Option<Result<Found, String>> {
        let began = Instant::now();
        // What is due within half of the time to the next look is due now.
        if began + every / 2 < self.next {
            return None;
        }
        let snapshot = match self.reader.as_mut()?.snapshot() {
            Ok(snapshot) => snapshot,
            Err(error) => {
                self.next = began + every * (1 << self.failures.min(DOUBLINGS));
                self.failures = self.failures.saturating_add(1);
                return Some(Err(error.to_string()));
            }
        };
        self.failures = 0;
        let processes = analyze::sockets::of_processes(&snapshot);
        let by_pid = processes
            .iter()
            .filter_map(|it| Some((it.pid?, memory(it))));
        let found = Found {
            by_pid: by_pid.collect(),
            notes: snapshot.notes.clone(),
        };
        let rest = began.elapsed().div_f64((budget * PART_OF_BUDGET).max(1e-6));
        self.next = began + rest.clamp(every, Duration::from_secs(3600));
        Some(Ok(found))
    }
}

fn memory(of: &ProcessSockets) -> SocketMemory {
    let sums = &of.sums;
    let parts = [sums.tcp_buffers(), sums.udp_bytes, sums.unix_bytes];
    SocketMemory {
        bytes: parts.into_iter().fold(0, u64::saturating_add),
        connections: sums.connections,
        send_bytes: sums.send_bytes,
        receive_bytes: sums.receive_bytes,
        stalled: of.stalled,
        stalled_bytes: of.stalled_bytes,
    }
}
