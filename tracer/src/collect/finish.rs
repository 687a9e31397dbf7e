//! From the quiet ledger to the report.

use std::collections::{HashMap, hash_map::Entry};

use tracer_common::{
    counter::{Count, Counter},
    ledger::Block,
    site::{self, Site as KernelSite},
    source::Source as KernelSource,
};

use super::{
    CollectError, Session,
    budget::Unresolved,
    clock::Moment,
    footprint::glibc_chunk,
    heap::report as heap,
    javascript::Javascript,
    javascript_heap,
    losses::losses,
    machine::host,
    mapped::{self as mappings, Measured},
    names::{Located, places},
    pools,
    sockets::report as sockets,
    space::Space,
};
use crate::{
    analyze::{growth, verdict},
    model::{
        Counts, Frame, JAVASCRIPT, Level, Loss, LossCause, Report, SCHEMA, Site, Source, StackEnd,
        Totals, Window, growth::AGES, trace_heap::Heaps,
    },
    probe::{ProgramName, count_of},
};

/// What a site allocated and freed.
pub fn counts_of(site: &KernelSite) -> Counts {
    Counts::new(
        site.allocated_blocks,
        site.allocated_bytes,
        site.freed_blocks,
        site.freed_bytes,
    )
}

/// Where a site's frames lie.
pub fn places_of(
    space: &Space,
    javascript: &Javascript,
    site: &KernelSite,
) -> (Vec<Located>, StackEnd) {
    let frames = (site.identity.frames as usize).min(site.frames.len());
    let (places, are_all) = places(
        space.id,
        &space.mappings,
        javascript,
        site.identity.mapping_generation,
        &site.frames[..frames],
    );
    let end = match (frames, are_all) {
        // The stack was lost: counted as loss.
        (0, _) => StackEnd::Root,
        (_, true) => site.identity.ending.into(),
        (_, false) => StackEnd::NoTable,
    };
    (places, end)
}

/// What the ledger's blocks say of one site.
#[derive(Clone, Copy, Debug, Default)]
struct Live {
    blocks: u64,
    bytes: u64,
    footprint: u64,
    oldest_mark: Option<u32>,
    survivors: [u64; AGES],
}

impl Live {
    /// `window_ms`: how long it was.
    fn add(&mut self, block: &Block, window_ms: u32) {
        let weight = u64::from(block.weight);
        // Sizes are what the program said.
        let weighed = |bytes: u64| bytes.saturating_mul(weight);
        self.blocks += weight;
        self.bytes = self.bytes.saturating_add(weighed(block.size));
        self.footprint = (self.footprint).saturating_add(weighed(glibc_chunk(block.size)));
        let age = growth::age(block.age_mark.into(), window_ms.into());
        self.survivors[age] = self.survivors[age].saturating_add(weighed(block.size));
        self.oldest_mark = Some(
            self.oldest_mark
                .map_or(block.age_mark, |mark| mark.min(block.age_mark)),
        );
    }
}

/// Reads everything and makes the report.
pub fn report(
    mut session: Session,
    mapped: Vec<Measured>,
    heaps_at_end: heap::AtEnd,
    sockets_at_end: sockets::AtEnd,
    end: Moment,
) -> Result<Report, CollectError> {
    let counts = session.kernel.counts()?;
    let window_ms = session.control.now_mark;
    let mut live: HashMap<u64, Live> = HashMap::new();
    let mut unresolved = Unresolved::of(&session);
    session.kernel.blocks(|_, block| {
        live.entry(block.site).or_default().add(block, window_ms);
        unresolved.add(block);
    })?;
    let mut loss = losses(&counts);
    add_pending(&session, window_ms, &mut live, &mut loss)?;
    add_missed_hits(&session, &mut loss);
    let mut kernel_sites = Vec::new();
    let mut mapping_sites = HashMap::new();
    let mut socket_sites = HashMap::new();
    let wanted = sockets_at_end.sites();
    session.kernel.sites(|key, site| {
        if site.allocated_blocks > 0 {
            kernel_sites.push((*key, *site));
        } else if wanted.contains(key) {
            socket_sites.insert(*key, *site);
        } else if mapped.iter().any(|(_, weights)| weights.has(*key)) {
            mapping_sites.insert(*key, *site);
        }
    })?;
    let mappings = mappings::of(&mut session, mapped, &mapping_sites);
    let sockets = sockets::of(&mut session, sockets_at_end, &socket_sites);
    audit(&kernel_sites, &live, &mut loss);
    let (sites, site_ids) = name_sites(&mut session, &kernel_sites, &live, end);
    let survivors = |key| {
        live.get(&key)
            .map_or([0; AGES], |live: &Live| live.survivors)
    };
    let growth = (session.following).of_all(&session.spaces, &kernel_sites, &site_ids, survivors);
    let heap = (session.heaps.take()).map(|heaps| {
        let ledger = heap::Ledger {
            kernel: &session.kernel,
            sites: &kernel_sites,
            site_ids: &site_ids,
            peaks: &session.peaks,
        };
        heap::of(heaps.known(), heaps_at_end, &ledger).map(|processes| Heaps { processes })
    });
    let seconds = end.monotonic_ns.saturating_sub(session.start.monotonic_ns) as f64 / 1e9;
    let lost = count_of(&counts, Counter::SampleWithoutStack);
    let javascript = javascript_heap::of(&mut session, lost, seconds)?;
    let mut totals = Totals {
        footprint_bytes: live.values().map(|live| live.footprint).sum(),
        ..Totals::default()
    };
    for site in &sites {
        totals.counts += site.counts;
    }
    let budget = session.account_budget(&unresolved, end);
    if let Some(sampling) = &mut session.sampling {
        sampling.passed_over = count_of(&counts, Counter::SampledOut).calls;
    }
    let mut notes = session.notes;
    notes.extend(session.names.notes.iter().cloned());
    notes.extend(session.tables.notes.iter().cloned());
    let untold = count_of(&counts, Counter::FunctionNotTold).calls;
    if untold > 0 {
        notes.push(format!(
            "{untold} times a JavaScript function on a stack could not be told from others and has no name there: more were new at once than there was room for."
        ));
    }
    let children = count_of(&counts, Counter::ChildProcess).calls;
    notes.extend(session.follow.note(children));
    let mut report = Report {
        schema: SCHEMA,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        level: if session.sampling.is_some() {
            Level::Sampled
        } else {
            Level::Exact
        },
        sampling: session.sampling,
        budget,
        host: host(),
        window: Window {
            start_utc: session.start.rfc3339(),
            end_utc: end.rfc3339(),
            start_monotonic_ns: session.start.monotonic_ns,
            end_monotonic_ns: end.monotonic_ns,
            seconds,
            from_start: session.from_start,
        },
        processes: session
            .spaces
            .into_iter()
            .map(|space| space.process)
            .collect(),
        totals,
        unmatched_frees: count_of(&counts, Counter::UnmatchedFree).calls,
        sites,
        mappings,
        heap: heap.transpose()?,
        javascript,
        sockets,
        growth,
        verdicts: Vec::new(),
        places: Vec::new(),
        loss,
        not_covered: session.not_covered,
        notes,
    };
    report.places = verdict::places(&report);
    report.verdicts = verdict::judge(&report);
    Ok(report)
}

/// Calls that were pending when the gate shut. What a realloc holds is live;
/// a suspended call is one whose return never came.
fn add_pending(
    session: &Session,
    window_ms: u32,
    live: &mut HashMap<u64, Live>,
    loss: &mut Vec<Loss>,
) -> Result<(), CollectError> {
    let mut missed = Count::default();
    session.kernel.threads(|_, calls| {
        for call in [&calls.current, &calls.suspended] {
            if call.is_pending() && call.has_taken() {
                live.entry(call.taken.site)
                    .or_default()
                    .add(&call.taken, window_ms);
            }
        }
        // What threw is a failed call; what began before a slice did counts nowhere.
        let is_stale = calls.suspended.is_stale(session.control.slice);
        if calls.suspended.is_pending() && !is_stale && !calls.suspended.function.throws() {
            missed.calls += 1;
            missed.bytes = missed.bytes.saturating_add(calls.suspended.size);
        }
    })?;
    if missed.calls > 0 {
        match loss
            .iter_mut()
            .find(|loss| loss.cause == LossCause::MissedReturn)
        {
            Some(known) => {
                known.calls += missed.calls;
                known.bytes = known.bytes.map(|bytes| bytes.saturating_add(missed.bytes));
            }
            None => loss.push(Loss {
                cause: LossCause::MissedReturn,
                calls: missed.calls,
                bytes: Some(missed.bytes),
            }),
        }
    }
    Ok(())
}

/// Probe hits that the kernel passed over; of which calls, it does not say.
fn add_missed_hits(session: &Session, loss: &mut Vec<Loss>) {
    let programs = [
        ProgramName::Entry,
        ProgramName::Return,
        ProgramName::Exit,
        ProgramName::Free,
    ];
    let runs = programs
        .iter()
        .map(|name| session.kernel.run_statistics(*name));
    let calls: u64 = runs.map(|run| run.missed).sum();
    if calls > 0 {
        loss.push(Loss {
            cause: LossCause::ProbeMissed,
            calls,
            bytes: None,
        });
    }
}

/// The blocks of the ledger and the counters of the sites are kept apart and
/// must agree to the byte.
fn audit(sites: &[(u64, KernelSite)], live: &HashMap<u64, Live>, loss: &mut Vec<Loss>) {
    let (mut calls, mut bytes) = (0, 0);
    for (key, site) in sites {
        let counted = counts_of(site);
        let found = live.get(key).copied().unwrap_or_default();
        calls += counted.live_blocks.abs_diff(found.blocks);
        bytes += counted.live_bytes.abs_diff(found.bytes);
    }
    if calls + bytes > 0 {
        loss.push(Loss {
            cause: LossCause::LedgerMismatch,
            calls,
            bytes: Some(bytes),
        });
    }
}

/// The sites with names, largest first; equal stacks seen in several
/// generations of the mappings are one site. Also each one's id, by the kernel's key.
fn name_sites(
    session: &mut Session,
    kernel_sites: &[(u64, KernelSite)],
    live: &HashMap<u64, Live>,
    end: Moment,
) -> (Vec<Site>, HashMap<u64, String>) {
    let mut places_by_site = Vec::with_capacity(kernel_sites.len());
    for (key, site) in kernel_sites {
        let Some(space) = session
            .spaces
            .iter()
            .find(|space| space.id == site.identity.space)
        else {
            continue;
        };
        places_by_site.push((*key, site, places_of(space, &session.javascript, site)));
    }
    for space in &session.spaces {
        let own = places_by_site
            .iter()
            .filter(|(_, site, _)| site.identity.space == space.id);
        session.names.look_up(
            own.flat_map(|(_, _, (places, _))| places),
            space.pid(),
            space.perf_map.as_ref(),
            &mut session.worker,
        );
    }
    let mut sites: HashMap<(String, u32), Site> = HashMap::new();
    let mut site_ids = HashMap::new();
    for (key, kernel_site, (places, stack_end)) in places_by_site {
        let frames = session.names.frames(&places);
        let source = KernelSource::from_number(kernel_site.identity.source)
            .map_or(Source::Unknown, Source::from);
        let site_id = site_id(source, &frames);
        site_ids.insert(key, site_id.clone());
        let process = kernel_site.identity.space;
        let oldest_seconds = live
            .get(&key)
            .and_then(|live| live.oldest_mark)
            .map_or(0.0, |mark| {
                let born = session.start.monotonic_ns + u64::from(mark) * 1_000_000;
                end.monotonic_ns.saturating_sub(born) as f64 / 1e9
            });
        let site = match sites.entry((site_id.clone(), process)) {
            Entry::Occupied(known) => {
                let site = known.into_mut();
                // The same stack, once found approximately and once for sure.
                for (known, frame) in site.frames.iter_mut().zip(&frames) {
                    known.approximate &= frame.approximate;
                }
                site
            }
            Entry::Vacant(new) => new.insert(Site {
                site_id,
                process,
                source,
                counts: Counts::default(),
                oldest_seconds: 0.0,
                pool: pools::grown(source, &frames).map(str::to_owned),
                frames,
                stack_end,
            }),
        };
        site.counts += counts_of(kernel_site);
        site.oldest_seconds = site.oldest_seconds.max(oldest_seconds);
    }
    let mut sites: Vec<Site> = sites.into_values().collect();
    sites.sort_unstable_by(|a, b| {
        let order = |site: &Site| (site.counts.live_bytes, site.counts.allocated_bytes);
        order(b)
            .cmp(&order(a))
            .then_with(|| a.site_id.cmp(&b.site_id))
    });
    (sites, site_ids)
}

/// Names a site the same in every run: a hash of its source and of its
/// frames' build ids (or paths) and offsets.
pub fn site_id(source: Source, frames: &[Frame]) -> String {
    let text = |hash: u64, text: &str| {
        text.bytes()
            .fold(site::mix(hash, text.len() as u64), |hash, byte| {
                site::mix(hash, u64::from(byte))
            })
    };
    let hash = frames.iter().fold(text(0, source.name()), |hash, frame| {
        let module = frame.build_id.as_deref().unwrap_or(&frame.module);
        if frame.module == JAVASCRIPT {
            // Its code moves; what it is called and where it is written does not.
            let hash = text(hash, frame.function.as_deref().unwrap_or_default());
            let hash = text(hash, frame.file.as_deref().unwrap_or_default());
            return site::mix(hash, frame.line.unwrap_or_default().into());
        }
        site::mix(text(hash, module), frame.offset)
    });
    format!("{hash:016x}")
}
