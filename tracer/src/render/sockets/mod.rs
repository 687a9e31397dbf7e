//! One look at sockets, as text for a terminal: what is going on, in a sentence or
//! two; sums, and how they agree with the kernel's own; who holds them; the largest.

mod headline;
mod largest;
mod reading;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
mod totals;

use super::layout::{Ink, cut_end, ink, wrap};
use super::table::Table;
use super::text::Page;
use super::{names, words};
use crate::model::{
    socket_look::{Look, ProcessSockets, Sums},
    sockets::Source,
};

pub(super) use {
    largest::{address, how, who},
    reading::{is_known, reading},
};

/// Processes that have a line, those with the most in TCP's buffers.
const PROCESSES: usize = 6;
/// Processes of which a connection's share is told.
const PER_CONNECTION: usize = 3;
/// Listening ports that have a line.
const PORTS: usize = 4;
/// Addresses of other ends that have a line.
const PEERS: usize = 5;
/// Less in buffers is not worth a line: a page.
const WORTH_BYTES: u64 = 4 << 10;
/// So much has an address of several connections for which addresses are told of.
const PEER_WORTH_BYTES: u64 = 64 << 10;

/// The look as lines of text, each ended by a newline.
#[must_use]
pub fn text(look: &Look, page: Page) -> String {
    let mut lines = Vec::new();
    headline::push(look, page, &mut lines);
    lines.push(String::new());
    totals::push(look, page, &mut lines);
    processes(look, page, &mut lines);
    ports(look, page, &mut lines);
    peers(look, page, &mut lines);
    largest::push(look, page, &mut lines);
    lines.push(String::new());
    let source = match look.source {
        Source::Iterators => "Read by BPF iterators over the sockets of all network namespaces.",
        Source::SockDiag => {
            "Read by netlink (sock_diag), and /proc/PID/fd for whose they are: what a connection waits for now is inferred from its peer's window."
        }
    };
    lines.extend(wrap(source, "", page.columns));
    for note in &look.notes {
        lines.extend(wrap(&names::sanitize(note), "note  ", page.columns));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// A process as `node (4242)`; who is not known as such.
pub(super) fn process(pid: Option<u32>, command: &str) -> String {
    match pid {
        None => "nobody known".to_owned(),
        Some(pid) => names::command(command, pid),
    }
}

/// What a connection takes in the kernel, on average.
fn each(sums: &Sums) -> Option<u64> {
    let all = sums
        .tcp_buffers()
        .saturating_add(sums.forward_bytes)
        .saturating_add(sums.slab_bytes);
    all.checked_div(sums.connections)
}

/// Nothing where there is nothing.
fn bytes(bytes: u64) -> String {
    match bytes {
        0 => String::new(),
        _ => words::bytes(bytes),
    }
}

fn count(number: u64) -> String {
    match number {
        0 => String::new(),
        _ => words::count(number),
    }
}

/// What all tables tell of some sockets.
const HEADINGS: [&str; 7] = [
    "connections",
    "send",
    "receive",
    "to accept",
    "orphans",
    "stalled",
    "each",
];

fn cells(sums: &Sums, stalled: u64) -> Vec<String> {
    vec![
        words::count(sums.connections),
        bytes(sums.send_bytes),
        bytes(sums.receive_bytes),
        bytes(sums.accept_queue_bytes),
        bytes(sums.orphan_bytes),
        count(stalled),
        each(sums).map(words::bytes).unwrap_or_default(),
    ]
}

fn push_table(table: &Table, page: Page, lines: &mut Vec<String>) {
    for (number, line) in table.lines(page.columns).into_iter().enumerate() {
        lines.push(match number {
            0 => ink(&line, Ink::Dim, page.colour),
            _ => line,
        });
    }
}

fn processes(look: &Look, page: Page, lines: &mut Vec<String>) {
    let is_worth = |it: &&ProcessSockets| {
        let other = it.sums.udp_bytes.saturating_add(it.sums.unix_bytes);
        it.sums.connections > 0 || it.sums.tcp_buffers() > 0 || other >= WORTH_BYTES
    };
    let shown: Vec<_> = look.processes.iter().filter(is_worth).collect();
    if shown.is_empty() {
        return;
    }
    lines.push(String::new());
    let headings = [&HEADINGS[..], &["UDP, Unix", "resident"]].concat();
    let mut table = Table::new("process", &headings);
    for it in shown.iter().take(PROCESSES) {
        let mut cells = cells(&it.sums, it.stalled);
        cells.push(bytes(it.sums.udp_bytes.saturating_add(it.sums.unix_bytes)));
        cells.push(it.resident_bytes.map(words::bytes).unwrap_or_default());
        table.push(process(it.pid, &it.command), cells);
    }
    push_table(&table, page, lines);
    let not_shown = shown.len().saturating_sub(PROCESSES) as u64;
    more(
        not_shown.saturating_add(look.left_out.processes),
        page,
        lines,
    );
    let told = match look.pids.is_empty() {
        true => 1,
        false => PER_CONNECTION,
    };
    for process in shown.iter().take(told) {
        per_connection(process, page, lines);
    }
}

fn more(others: u64, page: Page, lines: &mut Vec<String>) {
    if others > 0 {
        let text = format!(
            "and {} more, with less in TCP's buffers",
            words::count(others)
        );
        lines.push(ink(&cut_end(&text, page.columns), Ink::Dim, page.colour));
    }
}

fn per_connection(it: &ProcessSockets, page: Page, lines: &mut Vec<String>) {
    let Some(kernel) = each(&it.sums) else {
        return;
    };
    let own = it.resident_bytes.and_then(|resident| {
        let own = resident.checked_div(it.sums.connections)?;
        Some(format!(
            "; its own side is at most {} (resident set / connections)",
            words::bytes(own)
        ))
    });
    let text = format!(
        "A connection of {} takes {} of the kernel's memory on average, buffers and sockets{}.",
        process(it.pid, &it.command),
        words::bytes(kernel),
        own.unwrap_or_default()
    );
    lines.extend(wrap(&text, "", page.columns));
}

fn ports(look: &Look, page: Page, lines: &mut Vec<String>) {
    let shown: Vec<_> = (look.ports.iter())
        .filter(|it| it.sums.connections > 0)
        .collect();
    if shown.is_empty() {
        return;
    }
    lines.push(String::new());
    let mut table = Table::new("listening port", &HEADINGS);
    for it in shown.iter().take(PORTS) {
        let name = format!("{} of {}", it.port, process(it.pid, &it.command));
        table.push(name, cells(&it.sums, 0));
    }
    push_table(&table, page, lines);
    let not_shown = shown.len().saturating_sub(PORTS) as u64;
    more(not_shown.saturating_add(look.left_out.ports), page, lines);
}

/// Says nothing where all are at one address, or each connection at its own: the
/// largest are told of one by one.
fn peers(look: &Look, page: Page, lines: &mut Vec<String>) {
    let shown: Vec<_> = (look.peers.iter())
        .filter(|it| it.sums.tcp_buffers() >= WORTH_BYTES)
        .collect();
    let is_sum = |sums: &Sums| sums.connections > 1 && sums.tcp_buffers() >= PEER_WORTH_BYTES;
    if look.peers.len() < 2 || !shown.iter().any(|it| is_sum(&it.sums)) {
        return;
    }
    lines.push(String::new());
    let mut table = Table::new("peer", &HEADINGS);
    for it in shown.iter().take(PEERS) {
        table.push(it.address.to_string(), cells(&it.sums, it.stalled));
    }
    push_table(&table, page, lines);
    let all = look.peers.len() as u64;
    let not_shown = all.saturating_sub(shown.len().min(PEERS) as u64);
    more(not_shown.saturating_add(look.left_out.peers), page, lines);
}
