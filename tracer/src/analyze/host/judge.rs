//! What is said of a line without a closer look: what stands in its sockets' queues is the
//! kernel's own word.

use super::thresholds as limit;
use crate::model::{
    verdict::{Confidence, Kind, Verdict},
    words::{bytes, counted},
};

/// The queues of a process's sockets at two looks, of each the least: what stands there for a
/// moment only is on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queues {
    /// In send queues, bytes.
    pub send: u64,
    /// Received and not read, bytes.
    pub receive: u64,
    /// Connections whose peers do not read.
    pub stalled: u64,
    /// Buffers of those, bytes.
    pub stalled_bytes: u64,
}

impl Queues {
    /// What was so at both.
    #[must_use]
    pub fn lasting(self, other: Self) -> Self {
        Self {
            send: self.send.min(other.send),
            receive: self.receive.min(other.receive),
            stalled: self.stalled.min(other.stalled),
            stalled_bytes: self.stalled_bytes.min(other.stalled_bytes),
        }
    }
}

/// Verdicts on queues. `resident`: of the process; its thresholds are those of a trace's
/// verdict.
#[must_use]
pub fn judge(queues: Queues, resident: u64) -> Vec<Verdict> {
    let much = limit::at_least(limit::QUEUE_BYTES, limit::QUEUE_PART, resident);
    let mut found = Vec::new();
    let stalled = queues.stalled_bytes.min(queues.send);
    if stalled >= limit::STALLED_BYTES || queues.send >= much {
        let (confidence, summary) = match stalled >= limit::STALLED_BYTES {
            true => (
                Confidence::High,
                format!(
                    "Send-buffer bloat: the kernel holds {} for {} that do not read.",
                    bytes(stalled),
                    counted(queues.stalled, "peer")
                ),
            ),
            false => (
                Confidence::Medium,
                format!(
                    "Send-buffer bloat: {} wait in send queues, for the network as it seems.",
                    bytes(queues.send)
                ),
            ),
        };
        let mut verdict = Verdict::new(Kind::SendBuffer, 0, confidence, queues.send, summary);
        verdict.advice = vec!["Slow or dead peers: honour back-pressure, time them out (TCP_USER_TIMEOUT), bound what waits for each (TCP_NOTSENT_LOWAT, a lower net.ipv4.tcp_wmem).".to_owned()];
        found.push(verdict);
    }
    if queues.receive >= much {
        let summary = format!(
            "Receive-buffer bloat: {} arrived and are not read.",
            bytes(queues.receive)
        );
        let mut verdict = Verdict::new(
            Kind::ReceiveBuffer,
            0,
            Confidence::High,
            queues.receive,
            summary,
        );
        verdict.advice = vec!["The event loop is blocked or the socket is paused: read, or close; a smaller SO_RCVBUF bounds each.".to_owned()];
        found.push(verdict);
    }
    for verdict in &mut found {
        verdict.evidence =
            vec!["It was so at two looks at the host's sockets, one after the other.".to_owned()];
        verdict.would_change =
            vec!["Peers that read again empty the queues by themselves.".to_owned()];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Peers that do not read are told of from 1 MiB on, what is only on its way from 16
    /// MiB on, and what was so at one look of two not at all.
    #[test]
    fn queues_are_judged() {
        let stalled = Queues {
            send: 3 << 20,
            stalled: 2,
            stalled_bytes: 2 << 20,
            ..Queues::default()
        };
        let found = judge(stalled, 1 << 30);
        assert_eq!(found.len(), 1);
        assert!(found.iter().all(|it| it.kind == Kind::SendBuffer));
        assert!(found.iter().all(|it| it.confidence == Confidence::High));
        assert!(
            found
                .iter()
                .all(|it| it.summary.contains("2.0 MiB for 2 peers"))
        );
        assert!(judge(stalled.lasting(Queues::default()), 1 << 30).is_empty());
        let moving = Queues {
            send: 15 << 20,
            ..Queues::default()
        };
        assert!(judge(moving, 0).is_empty());
        let unread = Queues {
            receive: 17 << 20,
            ..Queues::default()
        };
        assert_eq!(
            judge(unread, 0).first().map(|it| it.kind),
            Some(Kind::ReceiveBuffer)
        );
        // A tenth of a large one.
        assert!(judge(unread, 1 << 30).is_empty());
    }
}
