//! The report's part about sockets: what was seen, and whose doing it is.

use std::collections::{BTreeMap, HashMap, HashSet};

use tracer_common::{counter::Counter, site::Site as KernelSite, source::Source};

use super::trace::{Processes, Sockets};
use crate::{
    analyze::sockets::{Attribution, Share, Why, attribute},
    collect::{
        Session,
        finish::{places_of, site_id},
    },
    model::{
        self, Frame,
        trace_sockets::{self, Accounting, Call, Probes, Queue, SocketSite, Unattributed},
    },
    probe::count_of,
};

/// What was seen of sockets as the trace ended.
#[derive(Default)]
pub struct AtEnd {
    attribution: Attribution,
}

impl AtEnd {
    /// Whose the bytes of the last look are.
    pub fn of(sockets: &Sockets, processes: &Processes) -> Self {
        // Of spaces with one pid, which it had one after the other, the last.
        let by_pid: BTreeMap<u32, u32> = (processes.iter())
            .map(|(space, pid)| (*pid, *space))
            .collect();
        let seen = sockets.last.as_ref().map(|(_, seen, _)| seen);
        let attribution = seen.map(|seen| attribute(&seen.snapshot.sockets, &by_pid, &seen.calls));
        Self {
            attribution: attribution.unwrap_or_default(),
        }
    }

    /// Keys of the sites whose stacks are wanted.
    pub fn sites(&self) -> HashSet<u64> {
        let keys = self.attribution.by_site.keys();
        keys.map(|(_, _, site)| *site).collect()
    }
}

/// The part.
pub fn of(
    session: &mut Session,
    end: AtEnd,
    stacks: &HashMap<u64, KernelSite>,
) -> Option<trace_sockets::Sockets> {
    let sockets = session.sockets.take()?;
    let counts = session.kernel.counts().ok()?;
    let mut notes = sockets.probes.notes.clone();
    if let Some(failure) = &sockets.failure {
        notes.push(format!("The sockets could not be looked at: {failure}."));
    }
    if sockets.probes() != Probes::None && session.watch.is_none() {
        notes.push("Who accepted and connected is not known: mapping calls were not watched (--no-mappings), and it is told by the same probes.".to_owned());
    }
    if sockets.probes() != Probes::None && !session.kernel.tells_functions() {
        notes.push("Who accepted and connected is not known on this kernel, which has no bpf_loop (Linux 5.17).".to_owned());
    }
    let rests = sockets.senders.rests();
    let has_rested = rests.is_some();
    notes.extend(rests);
    let full = count_of(&counts, Counter::SocketTableFull).calls;
    if full > 0 {
        notes.push(format!(
            "{full} calls on sockets found no room to be kept: their bytes may be somebody else's."
        ));
    }
    let accounted = |counter| count_of(&counts, counter).bytes;
    let accounting = sockets.held.filter(|_| sockets.probes.has_accounting);
    let accounting = accounting.map(|(first, last)| Accounting {
        raised_bytes: accounted(Counter::SocketRaised),
        forced_bytes: accounted(Counter::SocketForced),
        reduced_bytes: accounted(Counter::SocketReduced),
        held_at_start_bytes: first,
        held_at_end_bytes: last,
    });
    let probes = sockets.probes();
    let timeline = sockets.timeline.moments();
    let last = sockets.last.map(|(seconds, _, look)| (seconds, look));
    let newest = timeline.last().map_or(0.0, |moment| moment.seconds);
    let last = last.map(|(seconds, look)| {
        let sums = &look.sums;
        let had_any = sums.connections + sums.listeners + sums.udp + sums.unix > 0;
        if had_any && seconds < newest {
            notes.push(format!(
                "The processes have no sockets any more: the last look is that of {seconds:.1} s."
            ));
        }
        look
    });
    let mut without = without(&end.attribution, has_rested);
    let sites = with_stacks(session, &end.attribution, stacks, &mut without);
    Some(trace_sockets::Sockets {
        probes,
        notes,
        timeline,
        last: last.unwrap_or_default(),
        sites,
        unattributed: without,
        accounting,
    })
}

fn without(attribution: &Attribution, has_rested: bool) -> Vec<Unattributed> {
    let text = |why: &Why| match why {
        Why::SentBefore if has_rested => "sent before the trace, or while senders were not watched",
        why => why.text(),
    };
    let each = attribution.without.iter();
    let mut without: Vec<Unattributed> = each
        .map(|((process, queue, why), share)| Unattributed {
            process: *process,
            queue: *queue,
            bytes: share.bytes,
            sockets: share.sockets(),
            why: text(why).to_owned(),
            reading: share.reading(),
        })
        .collect();
    without.sort_by_key(|it| std::cmp::Reverse(it.bytes));
    without
}

fn with_stacks(
    session: &mut Session,
    attribution: &Attribution,
    stacks: &HashMap<u64, KernelSite>,
    without: &mut Vec<Unattributed>,
) -> Vec<SocketSite> {
    let mut found: HashMap<(String, u32, Queue), (SocketSite, Share)> = HashMap::new();
    for ((process, queue, key), share) in &attribution.by_site {
        let stack = stacks.get(key).filter(|site| site.identity.frames > 0);
        // The stack's own, which may be another's that has the socket too.
        let space = stack.map(|stack| stack.identity.space);
        let space = (session.spaces.iter()).find(|it| Some(it.id) == space);
        let (Some(space), Some(stack)) = (space, stack) else {
            without.push(Unattributed {
                process: *process,
                queue: *queue,
                bytes: share.bytes,
                sockets: share.sockets(),
                why: Why::Lost.text().to_owned(),
                reading: share.reading(),
            });
            continue;
        };
        let (places, stack_end) = places_of(space, &session.javascript, stack);
        session.names.look_up(
            places.iter(),
            space.pid(),
            space.perf_map.as_ref(),
            &mut session.worker,
        );
        let frames = from_caller(session.names.frames(&places));
        let source = Source::from_number(stack.identity.source);
        let model_source = source.map_or(model::Source::Unknown, model::Source::from);
        let site_id = site_id(model_source, &frames);
        let (_, sum) = (found.entry((site_id.clone(), *process, *queue))).or_insert_with(|| {
            let site = SocketSite {
                site_id,
                process: *process,
                queue: *queue,
                call: call_of(source),
                bytes: 0,
                sockets: 0,
                reading: None,
                peers: Vec::new(),
                frames,
                stack_end,
            };
            (site, Share::default())
        });
        sum.add(share);
    }
    let mut sites: Vec<SocketSite> = found
        .into_values()
        .map(|(site, share)| SocketSite {
            bytes: share.bytes,
            sockets: share.sockets(),
            reading: share.reading(),
            peers: share.peers(),
            ..site
        })
        .collect();
    sites.sort_by(|a, b| {
        let order = |site: &SocketSite| (std::cmp::Reverse(site.bytes), site.queue);
        (order(a), &a.site_id).cmp(&(order(b), &b.site_id))
    });
    sites
}

/// Without the C library's own functions for the system call.
fn from_caller(frames: Vec<Frame>) -> Vec<Frame> {
    let is_libc = |frame: &Frame| {
        let name = frame.module.rsplit('/').next().unwrap_or_default();
        ["libc.so", "libc-", "libpthread", "ld-musl"]
            .iter()
            .any(|libc| name.starts_with(libc))
    };
    match frames.iter().position(|frame| !is_libc(frame)) {
        Some(caller) => frames.into_iter().skip(caller).collect(),
        None => frames,
    }
}

fn call_of(source: Option<Source>) -> Call {
    match source {
        Some(Source::Receive) => Call::Receive,
        Some(Source::Accept) => Call::Accept,
        Some(Source::Connect) => Call::Connect,
        _ => Call::Send,
    }
}
