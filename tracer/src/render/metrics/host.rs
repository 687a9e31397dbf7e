//! The host as a whole, and what happened on it.

use super::{
    Counts, KINDS,
    exposition::{Exposition, Kind, Labels},
};
use crate::model::host::{Gauge, View};

pub fn write(view: &View, counts: &Counts, out: &mut Exposition) {
    let host = &view.host;
    if host.total_bytes > 0 {
        let help = "Memory of the host (MemTotal).";
        let name = "memtrace_host_memory_bytes";
        out.single(Kind::Gauge, name, help, host.total_bytes);
    }
    let gauges: [(&str, &str, &Gauge); 5] = [
        (
            "memtrace_host_available_bytes",
            "Memory that can be had without swapping (MemAvailable).",
            &host.available,
        ),
        (
            "memtrace_host_anonymous_bytes",
            "Memory of processes that no file backs (AnonPages).",
            &host.anonymous,
        ),
        (
            "memtrace_host_slab_bytes",
            "The kernel's own objects (Slab).",
            &host.slab,
        ),
        ("memtrace_host_swapped_bytes", "Swap in use.", &host.swapped),
        (
            "memtrace_host_socket_bytes",
            "Buffers of TCP and UDP as the kernel accounts them (/proc/net/sockstat).",
            &host.sockets,
        ),
    ];
    for (name, help, gauge) in gauges {
        if gauge.looks > 0 {
            out.single(Kind::Gauge, name, help, gauge.last);
        }
    }
    let events = KINDS.map(|kind| {
        let count = counts.events.get(kind).copied().unwrap_or_default();
        (Labels::new(&[("what", kind)]), count)
    });
    out.family(
        Kind::Counter,
        "memtrace_events_total",
        "What happened since memtrace began, by kind.",
        events,
    );
}
