//! What the kernel holds for a process's sockets.

use super::{Facts, thresholds as limit, words};
use crate::model::{
    trace_sockets::Queue,
    verdict::{Confidence, Kind, Verdict},
};

pub fn judge(facts: &Facts<'_>) -> Vec<Verdict> {
    let Some(own) = facts.sockets() else {
        return Vec::new();
    };
    let sums = &own.sums;
    let much = limit::at_least(limit::QUEUE_BYTES, limit::QUEUE_PART, facts.resident);
    let mut found = Vec::new();
    // Orphans are among those that wait for peers, and have a verdict of their own.
    let stalled_bytes = own.stalled_bytes.min(sums.send_bytes);
    if stalled_bytes >= limit::STALLED_BYTES || sums.send_bytes >= much {
        found.push(send(facts, own.stalled, stalled_bytes, sums.send_bytes));
    }
    if sums.receive_bytes >= much {
        let summary = format!(
            "Receive-buffer bloat: {} arrived for {} connections and are not read.",
            words::bytes(sums.receive_bytes),
            sums.connections
        );
        found.push(queue(facts, Kind::ReceiveBuffer, Queue::Receive, sums.receive_bytes, summary,
            "The event loop is blocked or the socket is paused: read, or close; a smaller SO_RCVBUF bounds each."));
    }
    if sums.accept_queue_bytes >= limit::UNOWNED_BYTES {
        let summary = format!(
            "Accept queue: {} stand in {} connections that nobody has accepted.",
            words::bytes(sums.accept_queue_bytes),
            sums.accept_queue
        );
        found.push(queue(
            facts,
            Kind::AcceptQueue,
            Queue::Accept,
            sums.accept_queue_bytes,
            summary,
            "Accept faster, or with more threads; a smaller backlog refuses earlier.",
        ));
    }
    if sums.orphan_bytes >= limit::UNOWNED_BYTES {
        let summary = format!(
            "Orphans: the kernel still holds {} for {} connections that are closed.",
            words::bytes(sums.orphan_bytes),
            sums.orphans
        );
        found.push(queue(facts, Kind::Orphan, Queue::Orphan, sums.orphan_bytes, summary,
            "Peers do not take what was sent before the close: SO_LINGER, TCP_USER_TIMEOUT, and net.ipv4.tcp_max_orphans bound it."));
    }
    found
}

fn send(facts: &Facts<'_>, stalled: u64, stalled_bytes: u64, bytes: u64) -> Verdict {
    let (confidence, summary) = if stalled_bytes >= limit::STALLED_BYTES {
        let summary = format!(
            "Send-buffer bloat: the kernel holds {} for {} that do not read.",
            words::bytes(stalled_bytes),
            crate::model::words::counted(stalled, "peer")
        );
        (Confidence::High, summary)
    } else {
        let summary = format!(
            "Send-buffer bloat: {} wait in send queues, for the network as it seems.",
            words::bytes(bytes)
        );
        (Confidence::Medium, summary)
    };
    let advice = "Slow or dead peers: honour back-pressure, time them out (TCP_USER_TIMEOUT), bound what waits for each (TCP_NOTSENT_LOWAT, a lower net.ipv4.tcp_wmem).";
    queue_with(
        facts,
        Kind::SendBuffer,
        confidence,
        Queue::Send,
        stalled_bytes.max(bytes),
        summary,
        advice,
    )
}

fn queue(
    facts: &Facts<'_>,
    kind: Kind,
    of: Queue,
    bytes: u64,
    summary: String,
    advice: &str,
) -> Verdict {
    queue_with(facts, kind, Confidence::High, of, bytes, summary, advice)
}

fn queue_with(
    facts: &Facts<'_>,
    kind: Kind,
    confidence: Confidence,
    of: Queue,
    bytes: u64,
    summary: String,
    advice: &str,
) -> Verdict {
    let mut verdict = facts.verdict(kind, confidence, bytes, summary);
    let sites = facts.report.sockets.iter().flat_map(|it| &it.sites);
    let own = sites.filter(|it| it.process == facts.process.id && it.queue == of);
    let peers = own
        .flat_map(|it| &it.peers)
        .filter(|it| !it.address.is_empty());
    verdict.evidence = peers
        .take(3)
        .map(|peer| {
            format!(
                "{} for {} in {}",
                words::bytes(peer.bytes),
                peer.address,
                crate::model::words::counted(peer.sockets, "socket")
            )
        })
        .collect();
    verdict.would_change = vec!["Peers that read again empty the queues by themselves.".to_owned()];
    verdict.advice = vec![advice.to_owned()];
    verdict.stacks = facts.stacks_of_queue(of);
    verdict
}
