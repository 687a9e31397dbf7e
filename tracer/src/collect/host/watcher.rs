//! The watch itself: looks at everything on a schedule, gives the present to whoever shows it,
//! and the past to the history.

mod going_on;
mod telling;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use tokio::sync::watch;

use super::{
    clock::{gap, now},
    closer::Closer,
    faulted::{FaultSource, Faulted},
    group_watch::GroupWatch,
    groups::Hierarchy,
    line::{Line, Now},
    lines::{Lines, News},
    memory::{self, Counters},
    oom::KernelLog,
    own::Own,
    processes::Processes,
    settings::Settings,
    sockets::SocketWatch,
    source::Proc,
};
use crate::{
    analyze::host::{Queues, judge::judge, thresholds as limit},
    collect::machine,
    model::host::{Event, Happening, HostMemory, LineId, View},
    store::history::History,
};

/// Events shown.
const EVENTS: usize = 200;
/// Kinds of loss told apart.
const LOSSES: usize = 64;

/// What a watcher is told.
#[derive(Debug)]
pub enum Command {
    /// To watch otherwise from now on.
    Settings(Settings),
    /// To look at everything now, rather than when it is time.
    Look,
    /// To end.
    Stop,
}

/// Watches a host.
pub struct Watcher {
    settings: Settings,
    history: Arc<History>,
    shown: watch::Sender<Arc<View>>,
    processes: Processes,
    source: Proc,
    pub(super) lines: Lines,
    groups: GroupWatch,
    counters: Counters,
    log: Option<KernelLog>,
    sockets: SocketWatch,
    /// Who makes processes larger, where that can be sampled.
    faults: Option<Box<dyn FaultSource>>,
    /// What others lost, who tell what is found here.
    lost_elsewhere: Option<Losses>,
    faulted: Faulted,
    /// What sampling them had lost at the look before, since the start.
    faults_lost: BTreeMap<String, u64>,
    peaks: Vec<LineId>,
    closer: Closer,
    own: Own,
    before: Now,
    /// When the interval began that is under way.
    began: Now,
    next: Instant,
    host: HostMemory,
    /// That have begun and ended since the look before.
    tasks: (u64, u64),
    /// Of this interval.
    events: Vec<Event>,
    /// The newest first.
    shown_events: VecDeque<Event>,
    losses_now: BTreeMap<String, u64>,
    losses: BTreeMap<String, u64>,
    gaps: Vec<String>,
    socket_notes: Vec<String>,
}

/// Asks for losses: what, and how often, since the start.
pub type Losses = Box<dyn Fn() -> BTreeMap<String, u64> + Send>;

impl Watcher {
    /// Begins to watch, going on where the history ends. `gaps`: what is not available, as
    /// `doctor` says it.
    #[must_use]
    pub fn new(
        settings: Settings,
        history: Arc<History>,
        shown: watch::Sender<Arc<View>>,
        faults: Option<Box<dyn FaultSource>>,
        mut gaps: Vec<String>,
    ) -> Self {
        let began = now();
        let mut lines = Lines::new(machine::host().boot_id, settings.min_rss);
        lines.young_ns = young_ns(&settings);
        let log = KernelLog::open();
        if let Err(error) = &log {
            gaps.push(format!(
                "Whom the kernel kills for want of memory is counted, not named: /dev/kmsg cannot be read: {error}."
            ));
        }
        let sockets = SocketWatch::new().unwrap_or_else(|reason| {
            gaps.push(reason);
            SocketWatch::none()
        });
        let mut watcher = Self {
            closer: Closer::new(&settings.directory, began),
            settings,
            history,
            shown,
            processes: Processes::default(),
            source: Proc::default(),
            lines,
            groups: GroupWatch::new(Hierarchy::find()),
            counters: memory::read(),
            log: log.ok(),
            sockets,
            faults,
            lost_elsewhere: None,
            faulted: Faulted::default(),
            faults_lost: BTreeMap::new(),
            peaks: Vec::new(),
            own: Own::default(),
            before: began,
            began,
            next: Instant::now(),
            host: HostMemory::default(),
            tasks: (0, 0),
            events: Vec::new(),
            shown_events: VecDeque::new(),
            losses_now: BTreeMap::new(),
            losses: BTreeMap::new(),
            gaps,
            socket_notes: Vec::new(),
        };
        watcher.go_on(began);
        watcher
    }

    /// Tells what others lost beside its own losses.
    #[must_use]
    pub fn telling(mut self, lost: Losses) -> Self {
        self.lost_elsewhere = Some(lost);
        self
    }

    /// Watches until it is told to stop.
    pub fn run(mut self, commands: &Receiver<Command>) {
        loop {
            let wait = self.next.saturating_duration_since(Instant::now());
            match commands.recv_timeout(wait.min(self.settings.fast())) {
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(Command::Settings(settings)) => self.change(settings),
                Ok(Command::Look) => self.next = Instant::now(),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if Instant::now() >= self.next {
                self.look();
                // Looks that were missed are not made up for.
                self.next += self.settings.every;
                if self.next < Instant::now() {
                    self.next = Instant::now() + self.settings.every;
                }
            } else {
                self.look_between();
            }
            self.look_closer();
        }
        self.closer.stop();
        let now = now();
        self.find_kills(now);
        self.keep_interval(now);
    }

    fn change(&mut self, settings: Settings) {
        self.lines.least_bytes = settings.min_rss;
        self.lines.young_ns = young_ns(&settings);
        self.next = Instant::now();
        self.settings = settings;
    }

    /// A whole look: at every process, and at the host.
    fn look(&mut self) {
        let now = now();
        let every_ms = u64::try_from(self.settings.every.as_millis()).unwrap_or(u64::MAX);
        if let Some(gap) = gap(self.before, now, every_ms) {
            self.happened(gap);
        }
        self.before = now;
        match self.processes.look() {
            Ok(look) => {
                self.lose("processes that may not be read", look.unreadable);
                let news = self.lines.look(&look, now, &mut self.source);
                self.take(news);
                self.lose("processes without a line: too many", self.lines.left_out);
            }
            Err(error) => self.lose(&format!("/proc could not be read: {error}"), 1),
        }
        self.look_at_sockets(now);
        let groups = self.lines.living().map(|line| line.who.group.as_str());
        self.groups.look(groups);
        self.lose("groups that were not asked: too many", self.groups.left_out);
        self.find_kills(now);
        self.take_faults();
        self.keep_interval(now);
        self.show(now);
    }

    /// A look at those that move fast.
    fn look_between(&mut self) {
        let now = now();
        let fast = self.lines.living().filter(|line| line.fast_looks > 0);
        let fast: Vec<(LineId, u32, u64)> = (fast.take(limit::FAST_MOST))
            .map(|line| (line.id, line.pid, line.start_time))
            .collect();
        let mut news = News::default();
        for (id, pid, start_time) in fast {
            if let Some(resident) = self.processes.resident(pid, start_time) {
                self.lines.look_between(id, resident, now, &mut news);
            }
        }
        self.take(news);
    }

    fn look_closer(&mut self) {
        let now = now();
        let happened = self
            .closer
            .tend(&self.settings, &mut self.lines, &self.history, now);
        for loss in happened.losses {
            self.lose(&loss, 1);
        }
        let is_new = !happened.events.is_empty();
        for event in happened.events {
            self.happened(event);
        }
        if is_new {
            self.show(now);
        }
    }

    fn look_at_sockets(&mut self, now: Now) {
        let budget = self.settings.budget;
        match self.sockets.look(self.settings.every, budget) {
            None => {}
            Some(Err(error)) => {
                // What was is not what is.
                for line in self.lines.all_mut() {
                    (line.sockets, line.sockets_before) = (None, None);
                    line.judged.from_history.clear();
                }
                self.socket_notes = vec![format!("Sockets could not be read: {error}.")];
                self.lose(&error, 1);
            }
            Some(Ok(found)) => {
                self.socket_notes = found.notes;
                for line in self.lines.all_mut().filter(|line| !line.has_ended) {
                    let of = found.by_pid.get(&line.pid).copied().unwrap_or_default();
                    line.look_at_sockets(of, now);
                    judge_queues(line, now);
                }
            }
        }
    }

    fn find_kills(&mut self, now: Now) {
        let counters = memory::read();
        self.host = counters.since(&self.counters);
        self.tasks = counters.tasks_since(&self.counters);
        self.counters = counters;
        let (kills, overruns) = self.log.as_mut().map(KernelLog::take).unwrap_or_default();
        self.lose(
            "stretches of the kernel's log that were overwritten",
            overruns,
        );
        let named = kills.len() as u64;
        for kill in kills {
            let at_ns = kill.at_us.saturating_mul(1000);
            let line = self.lines.killed(kill.pid);
            self.happened(Event {
                at_ms: now.utc_of(at_ns),
                line,
                what: Happening::OutOfMemory {
                    pid: kill.pid,
                    name: kill.name,
                    resident_bytes: kill.resident_bytes,
                },
            });
        }
        let unnamed = self.host.oom_kills.saturating_sub(named);
        self.lose(
            "kills for want of memory whose victim is not known",
            unnamed,
        );
    }

    fn take_faults(&mut self) {
        let peaks = std::mem::take(&mut self.peaks);
        let Some(source) = self.faults.as_deref_mut() else {
            return;
        };
        let mut lost = Vec::new();
        let of_peaks = self.faulted.take_in(source, &mut self.lines, &peaks);
        for (what, times) in source.losses() {
            let before = self.faults_lost.insert(what.clone(), times).unwrap_or(0);
            lost.push((what, times.saturating_sub(before)));
        }
        for (id, stacks) in of_peaks {
            if let Some(line) = self.lines.get_mut(id) {
                line.peak_stacks = stacks;
                if let Some(peak) = line.peak.as_mut().filter(|it| it.stacks.is_empty()) {
                    peak.stacks.clone_from(&line.peak_stacks);
                }
            }
        }
        for (what, times) in lost {
            self.lose(&what, times);
        }
    }

    fn take(&mut self, news: News) {
        self.peaks.extend(news.peaks);
        for event in news.events {
            self.happened(event);
        }
    }

    fn happened(&mut self, event: Event) {
        self.shown_events.push_front(event.clone());
        self.shown_events.truncate(EVENTS);
        self.events.push(event);
    }

    fn lose(&mut self, what: &str, times: u64) {
        if times == 0 {
            return;
        }
        for losses in [&mut self.losses_now, &mut self.losses] {
            // Errors that name something else each time must not fill the memory.
            let has_room = losses.len() < LOSSES || losses.contains_key(what);
            let what = if has_room { what } else { "others" };
            let known = losses.entry(what.to_owned()).or_default();
            *known = known.saturating_add(times);
        }
    }
}

/// What stands in its queues, at two looks.
fn judge_queues(line: &mut Line, now: Now) {
    let queues = |it: super::line::SocketMemory| Queues {
        send: it.send_bytes,
        receive: it.receive_bytes,
        stalled: it.stalled,
        stalled_bytes: it.stalled_bytes,
    };
    let (Some(last), Some(before)) = (line.sockets, line.sockets_before) else {
        return;
    };
    let lasting = queues(last).lasting(queues(before));
    line.judged.from_history = judge(lasting, line.status.resident);
    if !line.judged.from_history.is_empty() && line.judged.at_ms.is_none() {
        line.judged.at_ms = Some(now.utc_ms);
    }
}

fn young_ns(settings: &Settings) -> u64 {
    let span = settings.every.saturating_mul(limit::LOOKS_NEW);
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// How long a watcher may take to stop.
pub const STOP: Duration = Duration::from_millis(900);
