//! Whose doing the bytes in queues are, in a line for each stack.

use crate::model::{
    Report,
    trace_sockets::{Call, Queue, Reading, SocketSite, Sockets, Unattributed},
};
use crate::render::layout::wrap;
use crate::render::{
    names,
    sockets::{is_known, reading},
    words,
};

use super::Page;

/// Less is not worth a line.
const WORTH_BYTES: u64 = 64 << 10;
/// How many sites are told of, in all queues.
const SITES: usize = 4;
/// How many frames stand in a site's line.
const FRAMES: usize = 7;

pub fn push(report: &Report, sockets: &Sockets, page: Page, lines: &mut Vec<String>) {
    let mut told: Vec<Line> = Vec::new();
    for site in &sockets.sites {
        let line = Line::of(report, site);
        // Stacks that differ only in what is not shown are one line.
        match told.iter_mut().find(|it| it.text == line.text) {
            Some(same) => same.add(&line),
            None => told.push(line),
        }
    }
    told.retain(|it| it.bytes >= WORTH_BYTES);
    told.sort_by_key(|it| std::cmp::Reverse(it.bytes));
    for line in told.iter().take(SITES) {
        push_bytes(line.bytes, &line.full(), page, lines);
    }
    for it in &sockets.unattributed {
        push_unattributed(report, it, page, lines);
    }
}

/// What is said of one stack, or of several that look the same.
struct Line {
    text: String,
    bytes: u64,
    /// Two stacks can have sent to one socket: at least so many, and at most.
    sockets: (u64, u64),
    is_sent: bool,
    reading: Option<Reading>,
}

impl Line {
    fn of(report: &Report, site: &SocketSite) -> Self {
        let is_known = site.reading.as_ref().is_some_and(is_known);
        let what = what(site);
        let whose = match report.processes.len() {
            0..=1 => String::new(),
            _ => format!(" in {}", names::process_of(report, site.process)),
        };
        Self {
            text: format!("{what} {}{whose}", names::callers(&site.frames, FRAMES)),
            bytes: site.bytes,
            sockets: (site.sockets, site.sockets),
            is_sent: matches!(site.queue, Queue::Send | Queue::Orphan),
            reading: site.reading.filter(|_| is_known),
        }
    }

    fn add(&mut self, other: &Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        let most = self.sockets.1.saturating_add(other.sockets.1);
        let least = match self.is_sent {
            true => self.sockets.0.max(other.sockets.0),
            false => most,
        };
        self.sockets = (least, most);
        self.reading = match (self.reading, other.reading) {
            (Some(one), Some(other)) => Some(one.and(other)),
            (one, other) => one.or(other),
        };
    }

    fn full(&self) -> String {
        let (least, most) = self.sockets;
        let sockets = match least < most {
            true => format!(
                "{} to {}",
                words::count(least),
                words::counted(most, "socket")
            ),
            false => words::counted(most, "socket"),
        };
        let reading = (self.reading.as_ref()).map(|it| format!(": {}", reading(it)));
        format!("{}, on {sockets}{}", self.text, reading.unwrap_or_default())
    }
}

/// What a stack did; its name follows.
pub fn what(site: &SocketSite) -> &'static str {
    let is_known = site.reading.as_ref().is_some_and(is_known);
    match (site.queue, site.call) {
        (Queue::Send, _) => "sent by",
        (Queue::Orphan, Call::Send) => "sent, and then closed, by",
        (Queue::Orphan, _) => "of orphans, had by",
        (Queue::Accept, _) => "not accepted yet; it was last accepted by",
        (Queue::Receive, Call::Receive) => "received, and last read by",
        (Queue::Receive, Call::Connect) if is_known => "received, and connected by",
        (Queue::Receive, Call::Connect) => "received, and not seen read since it was connected by",
        (Queue::Receive, _) if is_known => "received, and accepted by",
        (Queue::Receive, _) => "received, and not seen read since it was accepted by",
    }
}

/// Queues of one kind.
pub const fn queue(queue: Queue) -> &'static str {
    match queue {
        Queue::Send => "send queues",
        Queue::Receive => "receive queues",
        Queue::Accept => "accept queues",
        Queue::Orphan => "orphans",
    }
}

fn push_unattributed(report: &Report, it: &Unattributed, page: Page, lines: &mut Vec<String>) {
    if it.bytes < WORTH_BYTES {
        return;
    }
    let queue = queue(it.queue);
    let whose = match report.processes.len() {
        0..=1 => String::new(),
        _ => format!(" of {}", names::process_of(report, it.process)),
    };
    let known = it.reading.as_ref().filter(|it| is_known(it));
    let who_reads = known.map(|known| {
        let sockets = words::counted(it.sockets, "socket");
        format!("; {sockets}: {}", reading(known))
    });
    let text = format!(
        "in {queue}{whose} without a stack: {}{}",
        names::sanitize(&it.why),
        who_reads.unwrap_or_default()
    );
    push_bytes(it.bytes, &text, page, lines);
}

fn push_bytes(bytes: u64, text: &str, page: Page, lines: &mut Vec<String>) {
    let beginning = format!("  {:>10}  ", words::bytes(bytes));
    lines.extend(wrap(text, &beginning, page.columns));
}
