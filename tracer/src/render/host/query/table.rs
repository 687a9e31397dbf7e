//! What grew most first, whose code that was, what happened.

use crate::{
    analyze::past::{Line, Past},
    model::{host::Event, utc},
    render::{
        host::happened::sentence,
        layout::{Ink, cut_end, ink, wrap},
        names,
        table::Table,
        text::Page,
        words,
    },
};

/// Programs whose stacks are shown, and of each how many, with so many frames.
const PROGRAMS: usize = 3;
const STACKS: usize = 3;
const FRAMES: usize = 6;
/// The last events.
const EVENTS: usize = 20;

/// From when to when, in words.
pub fn times(past: &Past) -> String {
    let at = |ms| words::utc(&utc::rfc3339(ms));
    let seconds = past.end_ms.saturating_sub(past.start_ms) as f64 / 1000.0;
    let (from, to) = (at(past.start_ms), at(past.end_ms));
    format!("{from} to {to}, {}", words::seconds(seconds))
}

/// Lines of text, the first `most` programs.
#[must_use]
pub fn table(past: &Past, most: usize, page: Page) -> String {
    let columns = page.columns.max(40);
    let mut lines = vec![ink(&times(past), Ink::Bold, page.colour)];
    if past.oom_kills > 0 {
        let kills = words::counted(past.oom_kills, "process").replace("processs", "processes");
        lines.push(ink(
            &format!("killed for want of memory: {kills}"),
            Ink::Alarm,
            page.colour,
        ));
    }
    lines.push(String::new());
    lines.extend(programs(past, most).lines(columns));
    let more = past.lines.len().saturating_sub(most) as u64;
    if more > 0 {
        lines.push(format!(
            "… and {} (--top shows more)",
            words::counted(more, "program")
        ));
    }
    lines.extend(stacks(past, most.min(PROGRAMS), columns));
    lines.extend(events(past, columns));
    for (what, count) in &past.losses {
        let text = format!("{}: {}", names::sanitize(what), words::count(*count));
        let text = wrap(&text, "not seen or kept: ", columns).join("\n");
        lines.push(ink(&text, Ink::Alarm, page.colour));
    }
    lines.join("\n") + "\n"
}

fn programs(past: &Past, most: usize) -> Table {
    let mut table = Table::new(
        "program",
        &[
            "growth",
            "first trough",
            "last trough",
            "now",
            "peak",
            "faulted in",
            "sockets",
            "tcp",
            "restarts",
        ],
    );
    for (_, line) in past.by_growth().into_iter().take(most) {
        let (first, last) = line.troughs();
        let some = |number: u64| Some(number).filter(|it| *it > 0);
        let count = |number| some(number).map(words::count).unwrap_or_default();
        let bytes = |number| some(number).map(words::bytes).unwrap_or_default();
        let faulted = some(line.faulted_bytes()).map(|it| format!("~{}", words::bytes(it)));
        table.push(
            who(line),
            vec![
                words::growth(line.growth()),
                words::bytes(first),
                words::bytes(last),
                words::bytes(line.last_bytes),
                words::bytes(line.peak_bytes),
                faulted.unwrap_or_default(),
                bytes(line.socket_bytes.unwrap_or(0)),
                count(line.connections),
                count(line.restarts),
            ],
        );
    }
    table
}

fn who(line: &Line) -> String {
    let name = names::command(&line.name, line.pid);
    let group = names::basename(&line.group);
    match names::sanitize(group).trim() {
        "" | "/" => name,
        group => format!("{name} {group}"),
    }
}

fn stacks(past: &Past, most: usize, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for (_, line) in past.by_growth().into_iter().take(most) {
        let mut stacks: Vec<_> = line.faulted.values().filter(|it| it.bytes > 0).collect();
        if line.growth() <= 0 || stacks.is_empty() {
            continue;
        }
        stacks.sort_by_key(|it| std::cmp::Reverse((it.bytes, it.stack)));
        lines.push(String::new());
        lines.push(format!(
            "{} faulted memory in at (sampled):",
            names::command(&line.name, line.pid)
        ));
        for stack in stacks.into_iter().take(STACKS) {
            let frames = past.stacks.get(&stack.stack).map_or(&[][..], Vec::as_slice);
            let bytes = format!("~{}", words::bytes(stack.bytes));
            let text = format!("{bytes:>12}  {}", names::callers(frames, FRAMES));
            lines.push(cut_end(&text, columns).into_owned());
        }
    }
    lines
}

fn events(past: &Past, columns: usize) -> Vec<String> {
    if past.events.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![String::new(), "what happened:".to_owned()];
    let before = past.events.len().saturating_sub(EVENTS);
    let earlier = past.more_events + before as u64;
    if earlier > 0 {
        let earlier = words::counted(earlier, "earlier event");
        lines.push(format!("  … {earlier} (--format json has all)"));
    }
    for event in past.events.iter().skip(before) {
        lines.extend(wrap(&told(event, past), "  ", columns));
    }
    lines.push(String::new());
    lines
}

/// What happened, when, and to whom.
fn told(event: &Event, past: &Past) -> String {
    let when = words::utc(&utc::rfc3339(event.at_ms));
    let line = event.line.and_then(|line| past.lines.get(&line));
    let who = line.map_or_else(String::new, |it| {
        format!("{}: ", names::command(&it.name, it.pid))
    });
    format!("{when}  {who}{}", sentence(&event.what))
}
