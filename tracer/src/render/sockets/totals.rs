//! Sums of sockets, and how they agree with what the kernel says.

use crate::model::socket_look::{Look, Sums};
use crate::render::layout::{cut_end, wrap};
use crate::render::text::Page;
use crate::render::words;

/// A sum, what it is called, and what is said beside it.
type Row = (fn(&Sums) -> u64, &'static str, fn(&Sums) -> String);

const ROWS: [Row; 8] = [
    (
        |it| it.send_bytes,
        "send queues",
        |it| match it.not_sent_bytes {
            0 => "sent, not acknowledged".to_owned(),
            bytes => format!("{} of it not even sent", words::bytes(bytes)),
        },
    ),
    (
        |it| it.receive_bytes,
        "receive queues",
        |_| "received, not read".to_owned(),
    ),
    (
        |it| it.accept_queue_bytes,
        "accept queues",
        |it| {
            format!(
                "{} to be accepted",
                words::counted(it.accept_queue, "connection")
            )
        },
    ),
    (
        |it| it.orphan_bytes,
        "orphans",
        |it| {
            format!(
                "{} closed, not done sending",
                words::counted(it.orphans, "connection")
            )
        },
    ),
    (
        |it| it.forward_bytes,
        "reserved",
        |_| "for what comes next, not used yet".to_owned(),
    ),
    (
        |it| it.slab_bytes,
        "the sockets themselves",
        |it| {
            format!(
                "estimated; {}, {}",
                words::counted(it.connections, "TCP connection"),
                words::counted(it.listeners, "listener")
            )
        },
    ),
    (
        |it| it.udp_bytes,
        "UDP",
        |it| format!("in {}", words::counted(it.udp, "socket")),
    ),
    (
        |it| it.unix_bytes,
        "Unix",
        |it| format!("in {}", words::counted(it.unix, "socket")),
    ),
];

/// These have a line only where there is something.
const NOT_ALWAYS: [&str; 4] = ["reserved", "the sockets themselves", "UDP", "Unix"];

pub fn push(look: &Look, page: Page, lines: &mut Vec<String>) {
    let is_part = !look.pids.is_empty();
    for (of, name, remark) in ROWS {
        let (part, whole) = (of(&look.sums), of(&look.host_sums));
        if whole == 0 && NOT_ALWAYS.contains(&name) {
            continue;
        }
        let share = match is_part && whole > 0 {
            true => format!("{} of the host's; ", words::share(part, whole)),
            false => String::new(),
        };
        let line = format!(
            "  {name:<22}{:>11}  {share}{}",
            words::bytes(part),
            remark(&look.sums)
        );
        lines.push(cut_end(&line, page.columns).into_owned());
    }
    lines.extend(wrap(&agreement(look), "", page.columns));
}

/// How the sums of all sockets agree with `/proc/net/sockstat`, and how near its
/// limits TCP is.
fn agreement(look: &Look) -> String {
    let host = &look.host;
    let accounted = host.tcp_accounted_bytes;
    let off = look.unexplained_bytes.unsigned_abs();
    let compared = match look.unexplained_bytes {
        0 => "just what its sockets have".to_owned(),
        bytes => format!(
            "{} ({}) {} than its sockets have{}",
            words::bytes(off),
            words::share(off, accounted),
            if bytes < 0 { "less" } else { "more" },
            if off <= host.tcp_unaccounted_bytes {
                ", within that"
            } else {
                ""
            }
        ),
    };
    let tolerance = match host.tcp_unaccounted_bytes {
        0 => String::new(),
        bytes => format!(", give or take {}", words::bytes(bytes)),
    };
    let [_, pressure, _] = host.tcp_limits_bytes;
    let near = match pressure {
        0 => String::new(),
        pressure => format!(
            " It is {} of where TCP comes under pressure ({}, net.ipv4.tcp_mem).",
            words::share(accounted, pressure),
            words::bytes(pressure)
        ),
    };
    format!(
        "The host's own count for TCP (sockstat) is {}{tolerance}: {compared}.{near}",
        words::bytes(accounted)
    )
}
