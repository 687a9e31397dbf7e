//! The life of the targets: their execs, their ends, and their children.
//!
//! A child is left alone for a moment before it is attached to: most children
//! exec or end at once, and each attach makes forks on the whole host wait for
//! the kernel's grace periods. What a child allocated before is the gap, which
//! the report tells in ms.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use tracer_common::control::{
    EVENT_EXEC, EVENT_EXIT, EVENT_FORK, EVENT_LOADER, Event, TARGET_SHARES_SPACE, Target,
};

use super::{CollectError, Session, TargetProcess, clock::Moment, space::Survey, target::exit_of};
use crate::{
    model::{Beginning, Exit, Followed},
    probe::Uprobes,
};

/// How long a child is left alone.
const SETTLE: Duration = Duration::from_millis(5);
/// The same where many are started; a child in its parent's address space
/// (vfork) has an exec before it as well.
const SETTLE_LONGER: Duration = Duration::from_millis(100);
/// More children than these within [`BUSY_TIME`] are many.
const BUSY_CHILDREN: usize = 8;
const BUSY_TIME: Duration = Duration::from_secs(1);
/// How often a program is looked at that has not mapped an allocator.
const LOOKS: u32 = 40;
/// Time between these looks; its loader is listened to besides.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Children on their way under trace, and what became of the others.
pub(super) struct Follow {
    pub is_on: bool,
    waiting: HashMap<u32, Waiting>,
    recent: VecDeque<Instant>,
    /// Children of which some program came under trace, and are still alive.
    known: HashSet<u32>,
    /// How many children there were of that kind.
    followed: u64,
    /// Programs without an allocator that can be traced.
    not_covered: u64,
    /// The longest gap before a child's calls counted, ms.
    longest_gap_ms: f64,
}

/// A child that is not traced yet.
struct Waiting {
    parent: u32,
    since: Beginning,
    began_ns: u64,
    shares_space: bool,
    due: Instant,
    looks: u32,
}

impl Follow {
    pub fn new(is_on: bool) -> Self {
        Self {
            is_on,
            waiting: HashMap::new(),
            recent: VecDeque::new(),
            known: HashSet::new(),
            followed: 0,
            not_covered: 0,
            longest_gap_ms: 0.0,
        }
    }

    /// Counts a process that came under trace, unless it did so before or is no child.
    fn count(&mut self, pid: u32, parent: u32) {
        if parent != pid && self.known.insert(pid) {
            self.followed += 1;
        }
    }

    /// Whether any child waits to be attached to.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// What the report says of `children` that were started in the window.
    pub fn note(&self, children: u64) -> Option<String> {
        if children == 0 {
            return None;
        }
        if !self.is_on {
            return Some(format!(
                "Not covered: {children} child process(es) that were started meanwhile; what they allocate is not counted here (--follow traces them)."
            ));
        }
        let others = children.saturating_sub(self.followed);
        let mut note = format!(
            "Children: {children} were started, {} came under trace, each within {:.0} ms of its start or exec; what they allocated before is not counted.",
            self.followed, self.longest_gap_ms
        );
        if others > 0 {
            note.push_str(&format!(
                " Not covered: {others}, most of which ended before they could be attached to."
            ));
        }
        if self.not_covered > 0 {
            note.push_str(&format!(
                " Programs that cannot be traced: {}.",
                self.not_covered
            ));
        }
        Some(note)
    }

    /// How long a child that started now is left alone.
    fn settle(&mut self, shares_space: bool) -> Duration {
        let now = Instant::now();
        self.recent.push_back(now);
        while self
            .recent
            .front()
            .is_some_and(|then| now.duration_since(*then) > BUSY_TIME)
        {
            self.recent.pop_front();
        }
        if shares_space || self.recent.len() > BUSY_CHILDREN {
            SETTLE_LONGER
        } else {
            SETTLE
        }
    }

    fn expect(&mut self, pid: u32, parent: u32, since: Beginning, event: &Event) {
        let shares_space = since == Beginning::Fork && event.flags & TARGET_SHARES_SPACE != 0;
        let due = Instant::now() + self.settle(shares_space);
        let waiting = Waiting {
            parent,
            since,
            began_ns: event.time,
            shares_space,
            due,
            looks: 0,
        };
        self.waiting.insert(pid, waiting);
    }
}

impl Session {
    /// Takes in what the kernel side told.
    pub(super) fn handle(&mut self, event: &Event) -> Result<(), CollectError> {
        let pid = event.tgid;
        match event.kind {
            EVENT_FORK => {
                self.follow.expect(event.value, pid, Beginning::Fork, event);
            }
            EVENT_EXEC => self.execed(pid, event),
            EVENT_EXIT => self.exited(pid, exit_of(event.value as i32)),
            EVENT_LOADER => {
                if let Some(waiting) = self.follow.waiting.get_mut(&pid) {
                    if waiting.looks > 0 {
                        waiting.due = Instant::now();
                    }
                } else {
                    self.follow_mappings(pid)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn execed(&mut self, pid: u32, event: &Event) {
        let parent = match self.follow.waiting.remove(&pid) {
            Some(waiting) => waiting.parent,
            None => self.parent_of(pid),
        };
        self.end_space(pid, Exit::Exec);
        if self.stopped_at_exec == Some(pid) {
            self.has_execed = true;
        } else if self.follow.is_on {
            self.follow.expect(pid, parent, Beginning::Exec, event);
        }
    }

    fn parent_of(&self, pid: u32) -> u32 {
        let space = self.spaces.iter().rfind(|space| space.process.pid == pid);
        space
            .and_then(|space| space.process.followed.as_ref())
            .map_or(pid, |followed| followed.parent)
    }

    /// The last thread of a process has ended.
    fn exited(&mut self, pid: u32, exit: Exit) {
        self.follow.waiting.remove(&pid);
        self.follow.known.remove(&pid);
        self.end_space(pid, exit);
        self.probed.retain(|(of, _)| *of != pid);
        self.loaders.retain(|(of, _)| *of != pid);
        if let Some(slices) = &mut self.slices {
            slices.probes.retain(|it| it.pid != pid);
        }
        self.kernel.release(pid);
    }

    /// The end of a process's present program, however it became known.
    pub fn end_space(&mut self, pid: u32, exit: Exit) {
        let live =
            |space: &&mut super::space::Space| space.process.pid == pid && space.target.is_some();
        if let Some(space) = self.spaces.iter_mut().find(live) {
            space.target = None;
            space.process.exit = Some(exit);
            // Memory only: that it stays is no reason to end the trace.
            let _ = self.kernel.forget_space_code(space.id);
            self.javascript.end(space.id);
        }
    }

    /// Whether no process is left to trace.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.spaces.iter().all(|space| space.target.is_none()) && !self.follow.is_waiting()
    }

    /// Whether the child that stops at its exec has done so since the last time this was asked.
    pub fn take_exec(&mut self) -> bool {
        std::mem::take(&mut self.has_execed)
    }

    /// When [`Self::attach_children`] has something to do.
    #[must_use]
    pub fn next_child(&self) -> Option<Instant> {
        (self.follow.waiting.values().map(|waiting| waiting.due)).min()
    }

    /// Attaches to the children that have lived long enough.
    pub fn attach_children(&mut self) -> Result<(), CollectError> {
        let now = Instant::now();
        let due = |(pid, waiting): (&u32, &Waiting)| (waiting.due <= now).then_some(*pid);
        let pids: Vec<u32> = self.follow.waiting.iter().filter_map(due).collect();
        for pid in pids {
            let Some(mut waiting) = self.follow.waiting.remove(&pid) else {
                continue;
            };
            match self.attach_child(pid, &waiting) {
                Ok(true) => self.follow.count(pid, waiting.parent),
                // Its loader is at work.
                Ok(false) if waiting.looks < LOOKS => {
                    waiting.looks += 1;
                    waiting.due = Instant::now() + LOOK_AGAIN;
                    self.follow.waiting.insert(pid, waiting);
                }
                // Its end or exec is on its way to us, or has been told.
                Err(error) if error.is_end() => {}
                outcome => {
                    self.follow.not_covered += 1;
                    let reason = match outcome {
                        Err(error) => error.to_string(),
                        Ok(_) => "it has mapped no allocator".to_owned(),
                    };
                    self.note_once(format!("Child process {pid} is not traced: {reason}"));
                }
            }
        }
        Ok(())
    }

    /// Attaches to a child; `false`: its allocator is not mapped yet.
    fn attach_child(&mut self, pid: u32, waiting: &Waiting) -> Result<bool, CollectError> {
        let target = TargetProcess::open_own(pid)?;
        let mut survey = Survey::of(pid, &mut self.worker)?;
        if waiting.shares_space {
            // Its blocks are its parent's, and so are the probes, of which single
            // ones see all who run in that memory, multi links their own process.
            if self.kernel.uprobes() == Uprobes::Multi {
                self.attach_probes(&survey, pid)?;
            }
            self.news.push(format!(
                "following process {pid} ({}) in the memory of {}",
                target.name(),
                waiting.parent
            ));
            return Ok(true);
        }
        if survey.found.allocators.is_empty() && survey.found.loader.is_some() {
            self.attach_loader(&survey.found, pid)?;
            // What was mapped before the probe was in has not been told.
            survey = Survey::of(pid, &mut self.worker)?;
            if survey.found.allocators.is_empty() {
                return Ok(false);
            }
        }
        self.refuse_what_cannot_be(&target, &survey)?;
        // Not waited for: until they are there its stacks are approximate.
        self.tables.ask(survey.mappings.current());
        self.tables.settle(&mut self.kernel, Duration::ZERO)?;
        let space = self.add_space(&survey)?;
        let entry = Target {
            mm: 0,
            space,
            flags: self.follow_flag(),
        };
        self.kernel
            .update_target(pid, &entry)
            .map_err(|_| CollectError::Gone(pid))?;
        if !survey.still_holds() {
            // It execs: what the kernel side was just told is the old program's.
            let _ = (self.kernel).update_target(pid, &Target { space: 0, ..entry });
            return Ok(false);
        }
        self.attach_probes(&survey, pid)?;
        let gap_ns = Moment::now().monotonic_ns.saturating_sub(waiting.began_ns);
        let followed = Followed {
            parent: waiting.parent,
            since: waiting.since,
            gap_ms: gap_ns as f64 / 1e6,
        };
        self.follow.longest_gap_ms = self.follow.longest_gap_ms.max(followed.gap_ms);
        self.news.push(format!(
            "following process {pid} ({}), started by {}: its first {:.0} ms are not counted",
            target.name(),
            waiting.parent,
            followed.gap_ms
        ));
        self.keep(space, survey, target).process.followed = Some(followed);
        Ok(true)
    }

    /// What the user may want to hear of since the last time this was asked.
    pub fn take_news(&mut self) -> Vec<String> {
        std::mem::take(&mut self.news)
    }
}
