//! The sockets of a trace's processes: looked at from time to time by a thread of
//! its own, and once more as the trace ends.

use std::{
    collections::BTreeMap,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{
    Choice, Reader, SocketsError, about,
    looker::{Looker, Seen},
    watched::{Senders, readers_are_watched},
};
use crate::{
    analyze,
    collect::{CollectError, clock, timeline::Timeline},
    model::{
        socket_look::Look,
        sockets::{Kind, Snapshot},
        trace_sockets::{Moment, Probes},
    },
    probe::{Kernel, KernelTypes, sockets::SocketProbes},
};

/// Between two looks, at least: as long as the trace has lasted, within these.
const PERIOD_FIRST: Duration = Duration::from_secs(1);
const PERIOD: Duration = Duration::from_secs(5);
/// So many times as long as a look took is waited for the next one: it is to take
/// no more than a fiftieth of a processor.
const REST: u32 = 50;

/// The traced processes: pid by address space; those that ended keep theirs, for
/// what the kernel still sends for them.
pub type Processes = BTreeMap<u32, u32>;

/// A look and what it says, when it began, and how long it took.
type Done = (Looker, Result<(Seen, Look), SocketsError>, u64, Duration);

/// What is known of the sockets of a trace.
pub struct Sockets {
    pub(super) probes: SocketProbes,
    looker: Option<Looker>,
    running: Option<JoinHandle<Done>>,
    next: Option<Instant>,
    pub(super) timeline: Timeline<Moment>,
    /// The last look at which the processes had sockets.
    pub(super) last: Option<(f64, Seen, Look)>,
    /// What the host's TCP sockets held, first and last.
    pub(super) held: Option<(u64, u64)>,
    /// Why there is no look, or no later one.
    pub(super) failure: Option<String>,
    live_bytes: u64,
    pub(super) senders: Senders,
}

impl Sockets {
    /// Attaches the probes; calls count from when the gate opens.
    pub fn start(
        kernel: &mut Kernel,
        types: &KernelTypes,
        choice: Choice,
    ) -> Result<Self, CollectError> {
        let only = match choice {
            Choice::Auto => None,
            Choice::Only(probes) => Some(probes),
        };
        let probes = kernel.attach_sockets(types, only);
        if only.is_some_and(|only| only != probes.probes) {
            return Err(CollectError::SocketProbes(probes.notes.join(" ")));
        }
        let map = kernel.take_sockets()?;
        let reader = Reader::with(types);
        let (looker, failure) = match reader {
            Ok(reader) => (Some(Looker::new(reader, map)), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Ok(Self {
            probes,
            looker,
            running: None,
            next: None,
            timeline: Timeline::default(),
            last: None,
            held: None,
            failure,
            live_bytes: 0,
            senders: Senders::default(),
        })
    }

    /// The first look, now: what was there before.
    pub fn begin(&mut self, processes: Processes, start: clock::Moment) {
        self.look_now(processes, start);
    }

    /// Takes in what was found; has the sockets looked at if it is time.
    /// `live_bytes`: what the processes' allocators have out.
    pub fn tick(&mut self, processes: Processes, live_bytes: u64, start: clock::Moment) {
        self.live_bytes = live_bytes;
        if self.running.as_ref().is_some_and(|it| !it.is_finished()) {
            return;
        }
        self.take_in(start);
        if self.next.is_some_and(|next| Instant::now() < next) {
            return;
        }
        let Some(looker) = self.looker.take() else {
            return;
        };
        let look = move || look(looker, &processes);
        let thread = thread::Builder::new().name("sockets".to_owned());
        match thread.spawn(look) {
            Ok(thread) => self.running = Some(thread),
            Err(error) => self.failure = Some(format!("no thread to look at sockets: {error}")),
        }
    }

    /// The last look, now.
    pub fn finish(&mut self, processes: Processes, live_bytes: u64, start: clock::Moment) {
        self.live_bytes = live_bytes;
        self.take_in(start);
        self.look_now(processes, start);
    }

    fn look_now(&mut self, processes: Processes, start: clock::Moment) {
        if let Some(looker) = self.looker.take() {
            let done = look(looker, &processes);
            self.take(done, start);
        }
    }

    fn take_in(&mut self, start: clock::Moment) {
        let Some(thread) = self.running.take() else {
            return;
        };
        match thread.join() {
            Ok(done) => self.take(done, start),
            Err(_) => self.failure = Some("the thread that looked at sockets died".to_owned()),
        }
    }

    fn take(&mut self, done: Done, start: clock::Moment) {
        let (looker, result, at, took) = done;
        self.looker = Some(looker);
        let lasted = Duration::from_millis(start.mark().into());
        let period = lasted.clamp(PERIOD_FIRST, PERIOD);
        self.next = Some(Instant::now() + period.max(took * REST));
        match result {
            Ok((seen, look)) => self.add(seen, look, at, start),
            Err(error) => self.failure = Some(error.to_string()),
        }
    }

    fn add(&mut self, seen: Seen, look: Look, at: u64, start: clock::Moment) {
        self.failure = None;
        let seconds = at.saturating_sub(start.monotonic_ns) as f64 / 1e9;
        let held = held(&seen.snapshot);
        self.held = Some((self.held.map_or(held, |(first, _)| first), held));
        let sums = &look.sums;
        self.timeline.add(Moment {
            seconds,
            connections: sums.connections,
            receive_bytes: sums.receive_bytes,
            send_bytes: sums.send_bytes,
            accept_queue_bytes: sums.accept_queue_bytes,
            orphan_bytes: sums.orphan_bytes,
            other_bytes: sums.udp_bytes.saturating_add(sums.unix_bytes),
            stalled: look.processes.iter().map(|it| it.stalled).sum(),
            live_bytes: self.live_bytes,
            host_bytes: look.host.tcp_accounted_bytes,
            events: seen.events,
        });
        let has_sockets = sums.connections + sums.listeners + sums.udp + sums.unix > 0;
        if has_sockets || self.last.is_none() {
            self.last = Some((seconds, seen, look));
        }
    }

    /// Whether those who send and those who read are to be watched now. `is_measuring`: what
    /// our programs take is being measured.
    pub fn watches(&mut self, start: clock::Moment, is_measuring: bool) -> (bool, bool) {
        let now = start.mark();
        let looked = self.last.iter().flat_map(|(_, _, look)| &look.largest);
        let (mut to_send, mut received) = (0, 0);
        for memory in looked.map(|large| &large.socket.memory) {
            to_send = memory.send_bytes.max(to_send);
            received = memory.receive_bytes.max(received);
        }
        let senders = self.senders.are_watched(now, is_measuring, to_send);
        (senders, readers_are_watched(now, received))
    }

    /// Takes in what watching those who send has cost.
    pub fn measured_sends(&mut self, sends: u64, run_ns: u64, wall_ns: u64) {
        self.senders.measured(sends, run_ns, wall_ns);
    }

    /// How stacks are taken.
    pub fn probes(&self) -> Probes {
        self.probes.probes
    }
}

fn look(mut looker: Looker, processes: &Processes) -> Done {
    let began = Instant::now();
    let at = clock::Moment::now().monotonic_ns;
    let seen = looker.look(processes).map(|seen| {
        let mut pids: Vec<u32> = processes.values().copied().collect();
        pids.sort_unstable();
        pids.dedup();
        let look = analyze::sockets::look(&seen.snapshot, &pids, &about);
        (seen, look)
    });
    (looker, seen, at, began.elapsed())
}

/// What the host's TCP sockets hold, as the kernel accounts it.
fn held(snapshot: &Snapshot) -> u64 {
    let tcp = snapshot.sockets.iter().filter(|it| it.kind == Kind::Tcp);
    tcp.map(|it| it.memory.accounted())
        .fold(0, u64::saturating_add)
}
