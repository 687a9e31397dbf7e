//! Stacks of what is in sockets' queues: the process, the queue, the frames outermost
//! first, what they did, and for whom.

use super::{on_frames, push, root};
use crate::model::{
    Report,
    trace_sockets::{Call, PeerBytes, Queue, SocketSite},
};
use crate::render::{
    names,
    sockets::{is_known, reading},
};

/// What is in the queues by whose doing it is, down to the other end; and bytes of
/// each. They add up to the sites' bytes, whatever is said of their peers.
pub fn socket_stacks(report: &Report) -> Vec<(String, u64)> {
    let mut stacks = Vec::new();
    let Some(sockets) = &report.sockets else {
        return stacks;
    };
    for site in sockets.sites.iter().filter(|site| site.bytes > 0) {
        push_site(report, site, &mut stacks);
    }
    for it in sockets.unattributed.iter().filter(|it| it.bytes > 0) {
        let mut line = beginning(report, it.process, it.queue);
        push(&mut line, &format!("[{}]", names::sanitize(&it.why)));
        if let Some(it) = it.reading.as_ref().filter(|it| is_known(it)) {
            push(&mut line, &format!("[{}]", reading(it)));
        }
        stacks.push((line, it.bytes));
    }
    stacks
}

fn push_site(report: &Report, site: &SocketSite, stacks: &mut Vec<(String, u64)>) {
    let mut base = on_frames(beginning(report, site.process, site.queue), &site.frames);
    push(&mut base, call(site.call));
    let mut left = site.bytes;
    for peer in &site.peers {
        let bytes = peer.bytes.min(left);
        if bytes > 0 {
            let mut line = base.clone();
            push(&mut line, &peer_label(peer));
            stacks.push((line, bytes));
            left -= bytes;
        }
    }
    if left > 0 {
        stacks.push((base, left));
    }
}

fn beginning(report: &Report, process: u32, queue: Queue) -> String {
    let mut line = root(&names::process_of(report, process));
    push(
        &mut line,
        match queue {
            Queue::Send => "[send queues]",
            Queue::Receive => "[receive queues]",
            Queue::Accept => "[accept queues]",
            Queue::Orphan => "[orphans]",
        },
    );
    line
}

fn call(call: Call) -> &'static str {
    match call {
        Call::Send => "[sent]",
        Call::Receive => "[last read]",
        Call::Accept => "[accepted]",
        Call::Connect => "[connected]",
    }
}

/// The other end, and whether it reads; of receive queues whether the process does.
pub fn peer_label(peer: &PeerBytes) -> String {
    let name = match names::sanitize(&peer.address) {
        name if name.trim().is_empty() => "other peers".to_owned(),
        name => name.into_owned(),
    };
    if let Some(it) = peer.reading.as_ref().filter(|it| is_known(it)) {
        return format!("{name} ({})", reading(it));
    }
    match (peer.stalled, peer.sockets) {
        (0, _) => name,
        (stalled, sockets) if stalled >= sockets => format!("{name} (does not read)"),
        (stalled, sockets) => format!("{name} ({stalled} of {sockets} do not read)"),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::render::sample;

    /// A stack leads from the process over the queue and the code to the peer.
    #[test]
    fn leads_to_the_peer() {
        let mut report = sample::troubled();
        let sockets = report.sockets.as_mut().unwrap();
        let site = &mut sockets.sites[0];
        site.bytes = 100;
        let peer = |address: &str, bytes, stalled| PeerBytes {
            address: address.to_owned(),
            bytes,
            sockets: 2,
            stalled,
            reading: None,
        };
        site.peers = vec![peer("10.0.0.7;\\n1", 60, 2), peer("", 30, 1)];
        sockets.sites.truncate(1);
        sockets.unattributed.truncate(1);
        let base = "node (4242);[send queues];main;JS:~tick /srv/app.js:50:3_[j];\
                    JS:*broadcast /srv/app.js:31:12_[j];[sent]";
        let expected = [
            (format!("{base};10.0.0.7:\\n1 (does not read)"), 60),
            (format!("{base};other peers (1 of 2 do not read)"), 30),
            (base.to_owned(), 10),
            (
                "node (4242);[send queues];[sent before the trace]".to_owned(),
                2 << 20,
            ),
        ];
        assert_eq!(socket_stacks(&report), expected);
    }

    proptest! {
        /// No byte is drawn twice or not at all.
        #[test]
        fn keeps_every_byte(report in sample::any_report()) {
            let drawn: u64 = socket_stacks(&report).iter().map(|(_, bytes)| bytes).sum();
            let sockets = report.sockets.iter();
            let sites: u64 = sockets.clone().flat_map(|it| &it.sites).map(|it| it.bytes).sum();
            let rest: u64 = sockets.flat_map(|it| &it.unattributed).map(|it| it.bytes).sum();
            prop_assert_eq!(drawn, sites + rest);
        }
    }
}
