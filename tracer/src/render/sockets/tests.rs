use proptest::prelude::*;

use super::*;
use crate::render::layout::width;
use crate::render::sample;

const PAGE: Page = Page {
    columns: 100,
    colour: false,
};

/// The whole of it as a person reads it, of a host with one slow consumer among fifty.
#[test]
fn shows_the_slow_consumer() {
    assert_eq!(
        text(&sample::look(1, &[]), PAGE),
        "\
4.0 MiB of node (4242) wait for a peer that does not read: 10.0.0.1:51001, for 1 min 33 s.

  send queues               4.0 MiB  3.9 MiB of it not even sent
  receive queues           63.9 KiB  received, not read
  accept queues                 0 B  1 connection to be accepted
  orphans                  32.0 KiB  1 connection closed, not done sending
  the sockets themselves  235.6 KiB  estimated; 60 TCP connections, 2 listeners
The host's own count for TCP (sockstat) is 4.1 MiB, give or take 4.0 MiB: 8.0 KiB (0.2%) more than
its sockets have, within that. It is 0.4% of where TCP comes under pressure (1.0 GiB,
net.ipv4.tcp_mem).

process         connections     send   receive   orphans  stalled      each  resident
node (4242)              56  4.0 MiB  63.9 KiB  32.0 KiB        1  78.7 KiB  82.0 MiB
postgres (700)            4                                         4.8 KiB  24.0 MiB
A connection of node (4242) takes 78.7 KiB of the kernel's memory on average, buffers and sockets;
its own side is at most 1.5 MiB (resident set / connections).

listening port          connections     send   receive   orphans      each
8080 of node (4242)              52  4.0 MiB  63.9 KiB  32.0 KiB  84.3 KiB
5432 of postgres (700)            4                                4.8 KiB

the largest sockets
   4.0 MiB  to 10.0.0.1:51001, at 10.0.0.1:8080, of node (4242); last heard of 1.2 s ago
            send queue 4.0 MiB of 4.0 MiB, 3.9 MiB not sent: the peer does not read, for 1 min 33 s
  63.9 KiB  from 10.0.0.50:51050, at 10.0.0.1:8080, of node (4242); last heard of 1.2 s ago
            receive queue 63.9 KiB of 128.0 KiB: not read yet; 1.2 MiB were read before
  32.0 KiB  to 10.0.0.78:40002, at 10.0.0.1:8080, an orphan of node (4242); last heard of 1.2 s ago
            FIN-WAIT-1, send queue 32.0 KiB of 85.0 KiB: on its way

Read by BPF iterators over the sockets of all network namespaces.
"
    );
}

/// Ten of them, and only the server's: how much of the host's it has, all ten by
/// name, in one screen.
#[test]
fn shows_a_process() {
    let text = text(&sample::look(10, &[4242]), PAGE);
    for expected in [
        "37.8 MiB wait in 10 connections whose peers do not read; most for 10.0.0.1:51001: 4.0 MiB of node\n\
         (4242), for 1 min 33 s.\n",
        "\n  send queues              37.8 MiB  100.0% of the host's; 36.6 MiB of it not even sent\n",
        "\n  the sockets themselves  216.6 KiB  91.9% of the host's; estimated; 56 TCP connections, 1 listener\n",
        "\n      then  10.0.0.6:51006 (3.8 MiB), 10.0.0.7:51007 (3.7 MiB), 10.0.0.8:51008 (3.7 MiB),\n            \
         10.0.0.9:51009 (3.6 MiB), 10.0.0.10:51010 (3.6 MiB), 10.0.0.50:51050 (63.9 KiB),\n            \
         10.0.0.78:40002 (32.0 KiB)\n",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
    assert!(!text.contains("postgres"), "{text}");
    assert!(text.lines().count() <= 45, "{text}");
}

/// A host on which nothing waits says so, and so does a process without a socket.
#[test]
fn says_that_there_is_nothing() {
    let quiet = text(&sample::look(0, &[]), PAGE);
    let first = "Nothing of note: 100.9 KiB in the buffers of 60 TCP connections.\n\n";
    assert!(quiet.starts_with(first), "{quiet}");
    let none = text(&sample::look(10, &[77]), PAGE);
    assert!(
        none.starts_with("dbus-daemon (77) has no socket.\n\n"),
        "{none}"
    );
    let none = text(&sample::look(10, &[77, 78]), PAGE);
    let first = "None of these 2 processes has a socket.\n\n";
    assert!(none.starts_with(first), "{none}");
    let none = text(&Look::default(), PAGE);
    assert!(none.starts_with("This host has no socket.\n\n"), "{none}");
}

/// Each kind of memory that can swell has its sentence, the largest first, with its name.
#[test]
fn says_what_is_going_on() {
    let mut look = sample::look(1, &[]);
    look.host.tcp_accounted_bytes = 1 << 30;
    let process = &mut look.processes[0];
    process.sums.accept_queue_bytes = 9 << 20;
    process.sums.orphan_bytes = 300 << 10;
    process.sums.receive_bytes = 2 << 20;
    look.sums = process.sums;
    let text = text(&look, PAGE);
    let head: Vec<&str> = text.lines().take(5).collect();
    assert_eq!(
        head,
        [
            "TCP's memory on this host is under pressure: the kernel shrinks buffers (net.ipv4.tcp_mem): 1.0 GiB",
            "of 1.0 GiB.",
            "9.0 MiB in 1 connection that nobody has accepted; most wait for node (4242).",
            "4.0 MiB of node (4242) wait for a peer that does not read: 10.0.0.1:51001, for 1 min 33 s.",
            "",
        ]
    );
}

/// Without the kernel's word for how long, there is the share of the time.
#[test]
fn tells_what_sock_diag_knows() {
    let mut look = sample::look(1, &[4242]);
    look.source = Source::SockDiag;
    let tcp = look.largest[0].socket.tcp.as_mut().unwrap();
    (tcp.limited_by, tcp.limited_for_ms) = (None, None);
    let text = text(&look, PAGE);
    let share = "the peer does not read, for 99.5% of";
    assert!(text.contains(share), "{text}");
    assert!(text.contains("Read by netlink (sock_diag)"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the names and figures, no line is wider than the page, and nothing
    /// steers the terminal.
    #[test]
    fn any_look_fits_the_page(look in sample::any_look(sample::any_text()), columns in 40_usize..200) {
        let page = Page { columns, colour: false };
        let text = text(&look, page);
        prop_assert!(!text.contains(|c: char| c.is_control() && c != '\n'));
        for line in text.lines() {
            prop_assert!(width(line) <= columns, "{line}");
        }
    }
}
