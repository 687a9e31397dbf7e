//! What is in the kernel's queues of the processes' sockets at the end of a trace,
//! beside what the processes hold themselves, and whose doing it is.

use crate::model::{
    Report,
    socket_look::{Cause, Large},
    trace_sockets::{Accounting, Events, Moment, Probes, Sockets},
};
use crate::render::layout::{Ink, cut_end, ink, wrap, wrap_parts};
use crate::render::{names, sockets::address, words};

use super::Page;

mod sites;

pub use sites::{queue, what};

/// With less in all queues, throughout, there is nothing to tell.
const QUIET_BYTES: u64 = 1 << 20;
/// How many peers that do not read are named.
const STALLED: usize = 5;

/// Appends what the sockets hold to `lines`.
pub fn push(report: &Report, page: Page, lines: &mut Vec<String>) {
    let Some(sockets) = &report.sockets else {
        return;
    };
    let (Some(first), Some(last)) = (sockets.timeline.first(), sockets.timeline.last()) else {
        push_notes(sockets, "sockets  ", page, lines);
        return;
    };
    let most = sockets.timeline.iter().map(queued).max().unwrap_or(0);
    if most < QUIET_BYTES {
        if last.connections > 0 {
            let text = format!(
                "{} in the kernel's queues of {} at the end, never more than {}",
                words::bytes(queued(last)),
                words::counted(last.connections, "connection"),
                words::bytes(most)
            );
            lines.extend(wrap(&text, "sockets  ", page.columns));
        }
        push_notes(sockets, "sockets  ", page, lines);
        if last.connections > 0 || has_notes(sockets) {
            lines.push(String::new());
        }
        return;
    }
    let heading = cut_end(
        "In the kernel's queues of sockets at the end:",
        page.columns,
    );
    lines.push(ink(&heading, Ink::Bold, page.colour));
    let since = (sockets.timeline.len() > 1).then_some(first);
    table(last, since, page, lines);
    stalled(sockets, page, lines);
    sites::push(report, sockets, page, lines);
    if let Some(accounting) = &sockets.accounting {
        let text = balance(accounting);
        lines.extend(wrap(&text, "  ", page.columns));
    }
    if let Some(text) = pressure(&last.events) {
        lines.extend(wrap(&text, "  ", page.columns));
    }
    lines.extend(wrap(how(sockets.probes), "  ", page.columns));
    push_notes(sockets, "  ", page, lines);
    lines.push(String::new());
}

/// What is missing or not known is told however little there is.
fn push_notes(sockets: &Sockets, beginning: &str, page: Page, lines: &mut Vec<String>) {
    for note in sockets.notes.iter().chain(&sockets.last.notes) {
        lines.extend(wrap(&names::sanitize(note), beginning, page.columns));
    }
}

fn has_notes(sockets: &Sockets) -> bool {
    !sockets.notes.is_empty() || !sockets.last.notes.is_empty()
}

/// All that the kernel has queued.
fn queued(moment: &Moment) -> u64 {
    QUEUES
        .iter()
        .map(|(of, _)| of(moment))
        .fold(0, u64::saturating_add)
}

/// A queue, and what it is called.
pub type Part = (fn(&Moment) -> u64, &'static str);

/// In the order in which they are told.
pub const QUEUES: [Part; 5] = [
    (|it| it.send_bytes, "send queues"),
    (|it| it.receive_bytes, "receive queues"),
    (|it| it.accept_queue_bytes, "accept queues"),
    (|it| it.orphan_bytes, "orphans"),
    (|it| it.other_bytes, "UDP and Unix sockets"),
];

/// The queues and, side by side with them, what the processes hold of their own.
fn table(now: &Moment, since: Option<&Moment>, page: Page, lines: &mut Vec<String>) {
    let mut row = |of: fn(&Moment) -> u64, what: &str| {
        let growth = since.map(|since| (of(now) as i64).wrapping_sub(of(since) as i64));
        let growth = growth.filter(|it| *it != 0).map(words::growth);
        let bytes = words::bytes(of(now));
        let line = format!(
            "  {bytes:>10}  {what:<42}{:>11}",
            growth.unwrap_or_default()
        );
        lines.push(cut_end(line.trim_end(), page.columns).into_owned());
    };
    for (of, what) in QUEUES.iter().filter(|(of, _)| of(now) > 0) {
        row(*of, what);
    }
    row(|it| it.live_bytes, "live in the processes' own heaps");
    if let Some(connections) = Some(now.connections).filter(|it| *it > 0) {
        let text = format!(
            "per connection: {} in the kernel's queues, {} live of their own, of {}",
            words::bytes(queued(now) / connections),
            words::bytes(now.live_bytes / connections),
            words::counted(connections, "connection")
        );
        lines.extend(wrap(&text, "  ", page.columns));
    }
    if let Some(since) = since {
        let text = format!(
            "last column: growth in the {} between the first look and the last; of live memory only what was allocated within the window is known",
            words::seconds(now.seconds - since.seconds)
        );
        lines.extend(wrap(&text, "  ", page.columns));
    }
}

/// Who does not read.
fn stalled(sockets: &Sockets, page: Page, lines: &mut Vec<String>) {
    let all = sockets.timeline.last().map_or(0, |it| it.stalled);
    if all == 0 {
        return;
    }
    let is_stalled = |it: &&Large| it.cause == Cause::PeerDoesNotRead && it.socket.tcp.is_some();
    let mut named: Vec<String> = (sockets.last.largest.iter())
        .filter(is_stalled)
        .filter_map(|it| {
            let bytes = words::bytes(it.socket.memory.buffers());
            Some(format!("{} ({bytes})", address(it.socket.peer?)))
        })
        .take(STALLED)
        .collect();
    let more = match all.saturating_sub(named.len() as u64) {
        0 => None,
        more if named.is_empty() => Some(format!("{}, not named here", words::count(more))),
        more => Some(format!("and {} more", words::count(more))),
    };
    named.extend(more);
    let heading = match all {
        1 => "1 peer does not read:".to_owned(),
        _ => format!("{} peers do not read:", words::count(all)),
    };
    let mut text = wrap(&heading, "  ", page.columns);
    text.extend(wrap_parts(&named, "    ", page.columns));
    lines.extend(text.iter().map(|line| ink(line, Ink::Alarm, page.colour)));
}

/// What the kernel's allocators took and gave against what the sockets hold.
pub fn balance(it: &Accounting) -> String {
    let taken = i128::from(it.raised_bytes) + i128::from(it.forced_bytes);
    let balance = taken - i128::from(it.reduced_bytes);
    let held = i128::from(it.held_at_end_bytes) - i128::from(it.held_at_start_bytes);
    let off = (balance - held).unsigned_abs().min(u128::from(u64::MAX)) as u64;
    let growth = |bytes: i128| {
        let narrow = bytes.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        words::growth(narrow as i64)
    };
    format!(
        "TCP's accounting on this host: {} raised, {} forced, {} reduced, which makes {}; its sockets hold {}: {} ({} of what was raised) not explained.",
        words::bytes(it.raised_bytes),
        words::bytes(it.forced_bytes),
        words::bytes(it.reduced_bytes),
        growth(balance),
        growth(held),
        words::bytes(off),
        words::share(off, it.raised_bytes.saturating_add(it.forced_bytes))
    )
}

/// An event, and what it is called.
pub type Event = (fn(&Events) -> u64, &'static str, &'static str);

/// In the order in which they are told.
pub const EVENTS: [Event; 5] = [
    (
        |it| it.limit_exceeded,
        "time",
        " over a limit of the kernel's",
    ),
    (
        |it| it.receive_queue_full,
        "time",
        " without room for what came",
    ),
    (|it| it.retransmits, "segment", " sent again"),
    (
        |it| it.zero_windows_sent,
        "time",
        " without room offered to the other end (zero window, of all its network namespace)",
    ),
    (
        |it| it.zero_windows_ended,
        "time",
        " room again after the other end had none",
    ),
];

/// What happened to the sockets within the window, if anything.
pub fn pressure(events: &Events) -> Option<String> {
    let told = EVENTS.iter().filter_map(|(of, thing, what)| {
        let events = of(events);
        (events > 0).then(|| format!("{}{what}", words::counted(events, thing)))
    });
    let told: Vec<String> = told.collect();
    (!told.is_empty()).then(|| format!("pressure: {}", told.join(", ")))
}

/// How stacks were taken.
pub fn how(probes: Probes) -> &'static str {
    match probes {
        Probes::Fentry => "Stacks were taken at the kernel's TCP buffer allocators, by fentry.",
        Probes::Kprobe => "Stacks were taken at the kernel's TCP buffer allocators, by kprobe.",
        Probes::Tracepoints => {
            "Stacks were taken at the tracepoints of send and receive; bytes are those of the last look."
        }
        Probes::None => "No stacks of senders were taken.",
    }
}
