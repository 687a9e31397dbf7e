//! The kernel's socket memory: how much, whose, and by whose doing, against `ss`,
//! `/proc/net/sockstat` and what the programs say that they wrote.
//!
//! Here: two processes with connections between them, and a look at them.

mod accounting;
mod bad_input;
mod consumers;
mod handlers;
mod namespaces;
mod per_socket;
mod reads;
mod receivers;
mod sums;
mod whose;

use std::{
    collections::BTreeMap,
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tests::{
    Program, Truth, build, memtrace,
    ss::{self, Seen},
    wait_until,
};
use tracer::model::{
    Report,
    socket_look::{Look, ProcessSockets},
    trace_sockets::{Queue, SocketSite, Sockets},
};

/// One at a time: some figures are the host's, and others of these tests would be in them.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What `memtrace sockets --json` prints.
fn look(arguments: &[&str]) -> Look {
    let mut command = memtrace();
    let output = (command.args(["sockets", "--json"]).args(arguments)).output();
    let output = output.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// How many connections are made before they are accepted: what a listener's queue
/// has room for everywhere.
const AT_ONCE: u64 = 100;
/// Of listeners whose queue is to hold more.
const BACKLOG: u64 = 4096;

/// A server, and a client that is connected to it.
struct Scene {
    server: Program,
    client: Program,
    port: u64,
}

impl Scene {
    /// The server listens, with its group 0.
    fn new() -> Self {
        let program = || Program::ready_as(&mut Command::new(build("sockets")));
        Self::of(program(), program())
    }

    fn of(mut server: Program, client: Program) -> Self {
        let port = server.ask(&format!("listen 0 0 {BACKLOG}")).value("port");
        Self {
            server,
            client,
            port,
        }
    }

    /// Connections from 127.0.0.`end` that make a group at both ends; a receive buffer
    /// of 0 bytes at the client is the kernel's choice.
    fn connect(&mut self, group: u64, count: u64, end: u64, buffer: u64) {
        for done in (0..count).step_by(AT_ONCE as usize) {
            let some = AT_ONCE.min(count - done);
            self.connect_only(group, some, end, buffer);
            let accepted = self.server.ask(&format!("accept {group} 0 {some}"));
            assert_eq!(accepted.value("accepted"), some);
        }
    }

    /// The same, and nobody accepts.
    fn connect_only(&mut self, group: u64, count: u64, end: u64, buffer: u64) {
        let port = self.port;
        self.client
            .ask(&format!("connect {group} {port} {count} {end} {buffer}"));
    }

    /// The server answers what the client asks.
    fn talk(&mut self, group: u64, rounds: u64) {
        self.server.talk.say(&format!("serve {group} {rounds}"));
        self.client.ask(&format!("ask {group} {rounds}"));
        self.server.talk.truth();
    }

    /// Its connections at both ends, by `ss`.
    fn seen(&self) -> BTreeMap<u64, Seen> {
        ss::connections(self.server.pid(), self.port)
    }

    /// Those at the server's end.
    fn at_server(&self, seen: &BTreeMap<u64, Seen>) -> Vec<Seen> {
        let is_its = |seen: &&Seen| seen.local.map(|it| u64::from(it.port())) == Some(self.port);
        seen.values().filter(is_its).cloned().collect()
    }

    /// A look at a moment at which nothing moved, and the sockets at that moment:
    /// before and after.
    fn quiet_look(&self, arguments: &[&str]) -> (Look, [BTreeMap<u64, Seen>; 2]) {
        let mut result = None;
        wait_until("nothing moves", || {
            let before = self.seen();
            let look = look(arguments);
            let after = self.seen();
            let is_quiet = at_rest(&before) == at_rest(&after);
            result = is_quiet.then_some((look, [before, after]));
            is_quiet
        });
        result.unwrap()
    }

    /// What its sockets hold when nothing moves any more.
    fn settle(&self) -> BTreeMap<u64, Seen> {
        settled(self.server.pid(), self.port)
    }
}

/// The connections of a port when nothing moves any more: twice the same, with none
/// on its way.
fn settled(pid: u32, port: u64) -> BTreeMap<u64, Seen> {
    let mut last = ss::connections(pid, port);
    wait_until("nothing moves", || {
        let now = ss::connections(pid, port);
        let is_quiet = at_rest(&now) == at_rest(&last);
        last = now;
        is_quiet && last.values().all(|it| it.send_queue == it.not_sent)
    });
    last
}

fn at_rest(seen: &BTreeMap<u64, Seen>) -> BTreeMap<u64, Seen> {
    seen.iter()
        .map(|(cookie, it)| (*cookie, it.at_rest()))
        .collect()
}

/// What some sockets hold, by where a sum counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Held {
    receive: u64,
    send: u64,
    accept_queue: u64,
    orphan: u64,
    waiting: u64,
    orphans: u64,
}

impl Held {
    fn of<'a>(sockets: impl IntoIterator<Item = &'a Seen>) -> Self {
        let mut held = Self::default();
        for seen in sockets {
            if seen.is_waiting() {
                held.waiting += 1;
                held.accept_queue += seen.buffers();
            } else if seen.is_orphan() {
                held.orphans += 1;
                held.orphan += seen.buffers();
            } else {
                held.receive += seen.memory.receive_bytes;
                held.send += seen.memory.send_bytes;
            }
        }
        held
    }

    const fn total(&self) -> u64 {
        self.receive + self.send + self.accept_queue + self.orphan
    }

    const fn of_sums(sums: &tracer::model::socket_look::Sums) -> Self {
        Self {
            receive: sums.receive_bytes,
            send: sums.send_bytes,
            accept_queue: sums.accept_queue_bytes,
            orphan: sums.orphan_bytes,
            waiting: sums.accept_queue,
            orphans: sums.orphans,
        }
    }
}

/// What a look has of a process, nothing where it has none.
fn of_process(look: &Look, pid: u32) -> ProcessSockets {
    let found = look.processes.iter().find(|it| it.pid == Some(pid));
    found.cloned().unwrap_or_default()
}

/// What a trace found of sockets, with what must hold of each.
fn sockets_of(report: &Report) -> &Sockets {
    let sockets = report.sockets.as_ref().unwrap();
    let sums = &sockets.last.sums;
    let in_sites: u64 = sockets.sites.iter().map(|site| site.bytes).sum();
    let without: u64 = sockets.unattributed.iter().map(|it| it.bytes).sum();
    let queues = sums.tcp_buffers() + sums.udp_bytes + sums.unix_bytes;
    assert!(
        in_sites + without == sums.tcp_buffers() || in_sites + without == queues,
        "{in_sites} in sites, {without} without: {sums:?}"
    );
    for site in &sockets.sites {
        let of_peers: u64 = site.peers.iter().map(|peer| peer.bytes).sum();
        assert_eq!(of_peers, site.bytes, "{site:?}");
    }
    let end = sockets.timeline.last().unwrap();
    assert_eq!(
        (end.receive_bytes, end.send_bytes),
        (sums.receive_bytes, sums.send_bytes)
    );
    assert_eq!(
        (end.accept_queue_bytes, end.orphan_bytes),
        (sums.accept_queue_bytes, sums.orphan_bytes)
    );
    sockets
}

fn has_frame(site: &SocketSite, function: &str) -> bool {
    let mut names = site.frames.iter().filter_map(|it| it.function.as_deref());
    names.any(|name| name == function)
}

/// Bytes of a queue, and of those what sites have with a function in their frames.
fn share(sockets: &Sockets, queue: Queue, function: &str) -> (u64, u64) {
    let of_queue = || sockets.sites.iter().filter(|site| site.queue == queue);
    let with = of_queue().filter(|site| has_frame(site, function));
    let missing = sockets.unattributed.iter().filter(|it| it.queue == queue);
    let all = of_queue().map(|site| site.bytes).sum::<u64>();
    (
        all + missing.map(|it| it.bytes).sum::<u64>(),
        with.map(|site| site.bytes).sum(),
    )
}

/// Fails unless it is within so many hundredths.
fn assert_near(found: u64, truth: u64, hundredths: u64, what: &str) {
    assert!(
        found.abs_diff(truth) <= truth * hundredths / 100,
        "{what}: {found} found, {truth} there"
    );
}

/// Nothing is told twice.
fn written(truth: &Truth) -> u64 {
    truth.value("written")
}
