//! Control groups, as they account their memory themselves.

use std::collections::HashSet;

use super::{
    GROUPS_MAX,
    exposition::{Exposition, Kind, Labels},
};
use crate::model::host::{GroupView, View};

pub fn write(view: &View, out: &mut Exposition) {
    let own: Vec<(Labels, &GroupView)> = own(view);
    let each = |value: fn(&GroupView) -> Option<u64>| {
        (own.iter()).filter_map(move |(labels, it)| Some((labels.clone(), value(it)?)))
    };
    out.family(
        Kind::Gauge,
        "memtrace_group_memory_bytes",
        "Memory of a control group (memory.current).",
        each(|it| it.memory_bytes),
    );
    out.family(
        Kind::Gauge,
        "memtrace_group_limit_bytes",
        "Its limit (memory.max), where it has one.",
        each(|it| it.limit_bytes),
    );
    out.family(
        Kind::Gauge,
        "memtrace_group_socket_bytes",
        "What its sockets hold (sock of memory.stat).",
        each(|it| Some(it.socket_bytes)),
    );
    out.family(
        Kind::Counter,
        "memtrace_group_oom_kills_total",
        "Processes killed in it for want of memory since memtrace began.",
        each(|it| Some(it.oom_kills)),
    );
    let left_out = view.groups.len().saturating_sub(own.len());
    out.single(
        Kind::Gauge,
        "memtrace_groups_left_out",
        "Control groups without series of their own.",
        left_out,
    );
}

/// Each set of labels once: long paths are cut, and two could then be the same series.
fn own(view: &View) -> Vec<(Labels, &GroupView)> {
    let mut seen = HashSet::new();
    let labelled = view.groups.iter().map(|it| {
        let container = it.container.as_deref().unwrap_or_default();
        let labels = Labels::new(&[("group", &it.group), ("container", container)]);
        (labels, it)
    });
    labelled
        .filter(|(labels, _)| seen.insert(labels.clone()))
        .take(GROUPS_MAX)
        .collect()
}
