//! What is going on, in a sentence or two.

use super::{address, process};
use crate::model::{
    socket_look::{Cause, Large, Look, ProcessSockets, Sums},
    sockets::Kind,
};
use crate::render::layout::{Ink, ink, wrap};
use crate::render::text::Page;
use crate::render::words;

/// Less in one kind of queue is ordinary traffic: twice what one connection may have
/// by default (`net.ipv4.tcp_rmem`: 128 KiB).
const WORTH_BYTES: u64 = 256 << 10;
/// Of peers that do not read less is told of: that is not ordinary.
const STALLED_BYTES: u64 = 16 << 10;
/// From so much of TCP's pressure threshold on, percent, the host's memory is told of.
const NEAR_PRESSURE_PERCENT: u64 = 75;
/// Sentences there is room for.
const SENTENCES: usize = 3;

pub fn push(look: &Look, page: Page, lines: &mut Vec<String>) {
    let mut sentences = Vec::new();
    sentences.extend(pressure(look));
    let worth = |least: u64| move |it: &(u64, String)| it.0 >= least;
    let mut queues: Vec<_> = [
        not_read(look),
        not_accepted(look),
        orphans(look),
        on_the_way(look),
        others(look),
    ]
    .into_iter()
    .flatten()
    .filter(worth(WORTH_BYTES))
    .chain(stalled(look).filter(worth(STALLED_BYTES)))
    .collect();
    queues.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
    sentences.extend(queues.into_iter().map(|(_, text)| text));
    if sentences.is_empty() {
        sentences.push(quiet(look));
    }
    for sentence in sentences.iter().take(SENTENCES) {
        let lines_of = wrap(sentence, "", page.columns);
        lines.extend((lines_of.iter()).map(|line| ink(line, Ink::Bold, page.colour)));
    }
}

fn pressure(look: &Look) -> Option<String> {
    let [_, pressure, most] = look.host.tcp_limits_bytes;
    let bytes = look.host.tcp_accounted_bytes;
    if pressure == 0 || bytes / NEAR_PRESSURE_PERCENT < pressure / 100 {
        return None;
    }
    let what = match bytes {
        bytes if bytes >= most => "at its limit: the kernel allocates no more",
        bytes if bytes >= pressure => "under pressure: the kernel shrinks buffers",
        _ => "close to where the kernel comes under pressure",
    };
    Some(format!(
        "TCP's memory on this host is {what} (net.ipv4.tcp_mem): {} of {}.",
        words::bytes(bytes),
        words::bytes(pressure)
    ))
}

/// A kind of finding: how many bytes, and the sentence.
type Finding = Option<(u64, String)>;

/// UDP's and Unix sockets' queues.
fn others(look: &Look) -> Finding {
    let (udp, unix) = (look.sums.udp_bytes, look.sums.unix_bytes);
    let bytes = udp.saturating_add(unix);
    let text = format!(
        "{} in queues of other sockets: {} of UDP, {} of Unix sockets that nobody has read.",
        words::bytes(bytes),
        words::bytes(udp),
        words::bytes(unix)
    );
    (bytes > 0).then_some((bytes, text))
}

fn stalled(look: &Look) -> Finding {
    let processes = || look.processes.iter().filter(|it| it.stalled > 0);
    let (connections, bytes) = processes().fold((0, 0_u64), |(number, bytes), it| {
        (number + it.stalled, bytes.saturating_add(it.stalled_bytes))
    });
    let largest = (look.largest.iter())
        .find(|it| it.socket.kind == Kind::Tcp && it.cause == Cause::PeerDoesNotRead);
    // Of those that the list of processes left out nothing is known here.
    let at_least = match look.left_out.processes {
        0 => "",
        _ => "At least ",
    };
    let waiting = words::bytes(bytes);
    let all = words::counted(connections, "connection");
    let text = match (connections, largest) {
        (0, _) => return None,
        (1, Some(it)) => format!(
            "{at_least}{waiting} of {} wait for a peer that does not read: {}{}.",
            process(it.pid, &it.command),
            peer(it),
            duration(it)
        ),
        (_, Some(it)) => format!(
            "{at_least}{waiting} wait in {all} whose peers do not read; most for {}: {} of {}{}.",
            peer(it),
            words::bytes(it.socket.memory.buffers()),
            process(it.pid, &it.command),
            duration(it)
        ),
        (_, None) => format!("{at_least}{waiting} wait in {all} whose peers do not read."),
    };
    Some((bytes, text))
}

fn duration(large: &Large) -> String {
    let held_up = large.socket.tcp.and_then(|tcp| tcp.limited_for_ms);
    held_up.map_or_else(String::new, |ms| {
        format!(", for {}", words::seconds(ms as f64 / 1e3))
    })
}

fn not_read(look: &Look) -> Finding {
    let bytes = look.sums.receive_bytes;
    let who = most(look, |sums| sums.receive_bytes)?;
    let text = format!(
        "{} received and not read; of {}: {}.",
        words::bytes(bytes),
        process(who.pid, &who.command),
        words::bytes(who.sums.receive_bytes)
    );
    Some((bytes, text))
}

fn not_accepted(look: &Look) -> Finding {
    let bytes = look.sums.accept_queue_bytes;
    let who = most(look, |sums| sums.accept_queue_bytes)?;
    let text = format!(
        "{} in {} that nobody has accepted; most wait for {}.",
        words::bytes(bytes),
        words::counted(look.sums.accept_queue, "connection"),
        process(who.pid, &who.command)
    );
    Some((bytes, text))
}

fn orphans(look: &Look) -> Finding {
    let bytes = look.sums.orphan_bytes;
    let who = most(look, |sums| sums.orphan_bytes)?;
    let text = format!(
        "{} in {} that were closed with data still to be sent (orphans); most of {}.",
        words::bytes(bytes),
        words::counted(look.sums.orphans, "connection"),
        process(who.pid, &who.command)
    );
    Some((bytes, text))
}

/// What is in send queues for another reason than a peer that does not read.
fn on_the_way(look: &Look) -> Finding {
    let stalled = (look.processes.iter())
        .map(|it| it.stalled_bytes)
        .fold(0, u64::saturating_add);
    let bytes = look.sums.send_bytes.saturating_sub(stalled);
    let who = most(look, |sums| sums.send_bytes)?;
    let slow = (look.largest.iter()).find(|it| it.cause == Cause::PeerReadsSlowly);
    if let Some(it) = slow {
        let text = format!(
            "About {} in send queues on its way, or for peers that read too slowly; of those most for {}: {} of {}{}.",
            words::bytes(bytes),
            peer(it),
            words::bytes(it.socket.memory.buffers()),
            process(it.pid, &it.command),
            duration(it)
        );
        return Some((bytes, text));
    }
    let text = format!(
        "About {} in send queues on its way, or held up by the network; most of {}.",
        words::bytes(bytes),
        process(who.pid, &who.command)
    );
    Some((bytes, text))
}

fn most(look: &Look, of: fn(&Sums) -> u64) -> Option<&ProcessSockets> {
    let most = look.processes.iter().max_by_key(|it| of(&it.sums))?;
    (of(&most.sums) > 0).then_some(most)
}

fn peer(large: &Large) -> String {
    (large.socket.peer).map_or_else(|| "a peer not known".to_owned(), address)
}

fn quiet(look: &Look) -> String {
    let sums = &look.sums;
    let whose = match (look.pids.is_empty(), look.processes.as_slice()) {
        (true, _) => "This host".to_owned(),
        (false, [only]) => process(only.pid, &only.command),
        (false, all) => format!("None of these {} processes", all.len()),
    };
    let sockets = sums.connections + sums.listeners + sums.udp + sums.unix;
    match (sockets, look.processes.len()) {
        (0, 0..=1) => format!("{whose} has no socket."),
        (0, _) if !look.pids.is_empty() => format!("{whose} has a socket."),
        _ => format!(
            "Nothing of note: {} in the buffers of {}.",
            words::bytes(sums.tcp_buffers()),
            words::counted(sums.connections, "TCP connection")
        ),
    }
}
