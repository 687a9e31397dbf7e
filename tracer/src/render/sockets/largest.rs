//! The sockets with most in their buffers, one by one.

use std::net::SocketAddr;

use super::{WORTH_BYTES, process};
use crate::model::{
    socket_look::{Cause, Large, Look},
    sockets::{Kind, Place, Socket, State, Tcp},
};
use crate::render::layout::{Ink, ink, wrap, wrap_parts};
use crate::render::text::Page;
use crate::render::words;

/// Sockets that are told of in full.
const FULL: usize = 5;

pub fn push(look: &Look, page: Page, lines: &mut Vec<String>) {
    let is_worth = |it: &&Large| it.socket.memory.buffers() >= WORTH_BYTES;
    let shown: Vec<&Large> = look.largest.iter().filter(is_worth).collect();
    if shown.is_empty() {
        return;
    }
    lines.push(String::new());
    let heading = match shown.len() {
        1 => "the largest socket",
        _ => "the largest sockets",
    };
    lines.push(ink(heading, Ink::Dim, page.colour));
    for large in shown.iter().take(FULL) {
        let bytes = format!("{:>10}  ", words::bytes(large.socket.memory.buffers()));
        lines.extend(wrap(&who(large), &bytes, page.columns));
        lines.extend(wrap(&how(large), "            ", page.columns));
    }
    let rest: Vec<String> = (shown.iter().skip(FULL))
        .map(|it| {
            let bytes = words::bytes(it.socket.memory.buffers());
            format!("{} ({bytes})", other_end(&it.socket))
        })
        .collect();
    if !rest.is_empty() {
        lines.extend(wrap_parts(&rest, "      then  ", page.columns));
    }
}

/// An address; IPv4 in IPv6 as IPv4.
pub fn address(address: SocketAddr) -> String {
    SocketAddr::new(address.ip().to_canonical(), address.port()).to_string()
}

fn other_end(socket: &Socket) -> String {
    match (socket.kind, socket.peer) {
        (_, Some(peer)) => address(peer),
        (Kind::Unix, _) => "a Unix socket".to_owned(),
        _ => "nobody".to_owned(),
    }
}

/// Which two ends, whose, and since when there was nothing from the other one.
pub fn who(large: &Large) -> String {
    let socket = &large.socket;
    let owner = process(large.pid, &large.command);
    let is_sent = socket.memory.send_bytes >= socket.memory.receive_bytes;
    let ends = match (socket.kind, socket.local, socket.peer) {
        (Kind::Unix, ..) => "in a Unix socket".to_owned(),
        (kind, local, peer) => {
            let udp = if kind == Kind::Udp { "UDP, " } else { "" };
            let other = match peer {
                Some(peer) => format!(
                    "{} {}, ",
                    if is_sent { "to" } else { "from" },
                    address(peer)
                ),
                None => String::new(),
            };
            let own = local.map_or_else(|| "no address".to_owned(), address);
            format!("{udp}{other}at {own}")
        }
    };
    let whose = match socket.place {
        Place::Open { .. } => format!("of {owner}"),
        Place::AcceptQueue { .. } => format!("not accepted by {owner}"),
        Place::Orphan { .. } => format!("an orphan of {owner}"),
        Place::Unknown => "of nobody known".to_owned(),
    };
    let heard = socket.tcp.map_or_else(String::new, |tcp| {
        let ago = tcp.acknowledged_ms_ago.min(tcp.received_ms_ago);
        format!("; last heard of {} ago", words::seconds(ago as f64 / 1e3))
    });
    format!("{ends}, {whose}{heard}")
}

/// What is in its queues, and why.
pub fn how(large: &Large) -> String {
    let socket = &large.socket;
    let memory = &socket.memory;
    let mut parts = Vec::new();
    if let Some(state) = state(socket.state).filter(|_| socket.kind == Kind::Tcp) {
        parts.push(state.to_owned());
    }
    let mut queue = |name: &str, bytes: u64, limit: u64, rest: &str| {
        if bytes > 0 {
            let limit = match limit {
                0 => String::new(),
                limit => format!(" of {}", words::bytes(limit)),
            };
            parts.push(format!("{name} queue {}{limit}{rest}", words::bytes(bytes)));
        }
    };
    let not_sent = match socket.tcp.map_or(0, |tcp| tcp.not_sent) {
        0 => String::new(),
        bytes => format!(", {} not sent", words::bytes(bytes)),
    };
    queue("send", memory.send_bytes, memory.send_limit, &not_sent);
    queue("receive", memory.receive_bytes, memory.receive_limit, "");
    if memory.drops > 0 {
        parts.push(words::counted(memory.drops, "drop"));
    }
    format!("{}: {}", parts.join(", "), reason(large))
}

fn reason(large: &Large) -> String {
    let tcp = large.socket.tcp.unwrap_or_default();
    match large.cause {
        Cause::PeerDoesNotRead if large.socket.kind != Kind::Tcp => {
            "the other end does not read".to_owned()
        }
        Cause::PeerDoesNotRead => format!("the peer does not read{}", duration(&tcp)),
        Cause::PeerReadsSlowly => format!("the peer reads too slowly{}", duration(&tcp)),
        Cause::Network => {
            let tcp = Tcp {
                receiver_limited_ms: 0,
                ..tcp
            };
            format!("the network takes no more{}", duration(&tcp))
        }
        Cause::NotRead => not_read(&tcp),
        Cause::NotAccepted => "nobody has accepted it yet".to_owned(),
        Cause::InFlight => "on its way".to_owned(),
        Cause::Nothing => "empty".to_owned(),
    }
}

/// Whether the process reads, as far as it is known.
fn not_read(tcp: &Tcp) -> String {
    match tcp.read_bytes {
        Some(0) => "the process has never read from it".to_owned(),
        Some(bytes) => format!("not read yet; {} were read before", words::bytes(bytes)),
        None => "the process does not read".to_owned(),
    }
}

/// For how long; where that is not known, for what part of the time.
fn duration(tcp: &Tcp) -> String {
    match tcp.limited_for_ms {
        Some(ms) => format!(", for {}", words::seconds(ms as f64 / 1e3)),
        None if tcp.receiver_limited_ms > 0 => format!(
            ", for {} of the time with something to send",
            words::share(tcp.receiver_limited_ms, tcp.busy_ms)
        ),
        None => String::new(),
    }
}

/// As RFC 9293 calls it; nothing for the usual one.
fn state(state: State) -> Option<&'static str> {
    Some(match state {
        State::Established => return None,
        State::SynSent => "SYN-SENT",
        State::SynReceived => "SYN-RECEIVED",
        State::FinWait1 => "FIN-WAIT-1",
        State::FinWait2 => "FIN-WAIT-2",
        State::TimeWait => "TIME-WAIT",
        State::Close => "CLOSED",
        State::CloseWait => "CLOSE-WAIT",
        State::LastAck => "LAST-ACK",
        State::Listen => "LISTEN",
        State::Closing => "CLOSING",
    })
}
