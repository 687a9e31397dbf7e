//! What the mappings weigh at the end of a trace, and who made them.

use std::collections::HashMap;

use tracer_common::{site::Site, source::Source as KernelSource};

use super::{Origin, residency::Residency};
use crate::{
    collect::{
        Session,
        finish::{places_of, site_id},
        pools,
        space::Space,
    },
    model::{Extent, Frame, MappingKind, MappingSite, Mappings, ProcessMappings, Source},
};

/// By the stack that mapped, and what.
#[derive(Debug, Default)]
pub struct BySite(HashMap<(u64, MappingKind), Extent>);

/// What one process has mapped, its sites still without names.
pub type Measured = (ProcessMappings, BySite);

impl BySite {
    /// Whether the stack with this key has mapped anything.
    pub fn has(&self, key: u64) -> bool {
        use MappingKind::{Anonymous, File, Shared};
        [Anonymous, Shared, File]
            .into_iter()
            .any(|kind| self.0.contains_key(&(key, kind)))
    }
}

/// Weighs what a process has mapped; `None` if it is gone.
pub fn measure(space: &Space) -> Option<Measured> {
    let target = space.target.as_ref()?;
    let mut residency = Residency::open(target.pid, true).ok()?;
    let mut sums = ProcessMappings {
        process: space.id,
        ..ProcessMappings::default()
    };
    let mut sites = BySite::default();
    for interval in space.mapped.intervals() {
        let bytes = interval.end - interval.start;
        let (usable_bytes, reserved_bytes) = match interval.about.usable {
            true => (bytes, 0),
            false => (0, bytes),
        };
        let extent = Extent {
            // What was unmapped meanwhile has no pages.
            resident_bytes: residency
                .bytes(interval.start, interval.end)
                .unwrap_or_default(),
            usable_bytes,
            reserved_bytes,
        };
        sums.total += extent;
        match interval.about.origin {
            Origin::Before => sums.before += extent,
            Origin::Allocator => sums.allocator += extent,
            Origin::Unseen => sums.unseen += extent,
            Origin::Site(site) => {
                *sites.0.entry((site, interval.about.kind)).or_default() += extent;
            }
        }
    }
    Some((sums, sites))
}

/// The report's part about mappings.
pub fn of(
    session: &mut Session,
    measured: Vec<Measured>,
    sites: &HashMap<u64, Site>,
) -> Option<Mappings> {
    let processes = measured
        .into_iter()
        .map(|(sums, weights)| with_sites(session, sums, weights, sites))
        .collect();
    let watch = session.watch.as_ref()?;
    Some(Mappings {
        bystander_ns: watch.bystander_ns,
        events: watch.events,
        processes,
    })
}

fn with_sites(
    session: &mut Session,
    mut sums: ProcessMappings,
    weights: BySite,
    sites: &HashMap<u64, Site>,
) -> ProcessMappings {
    let Some(space) = session.spaces.iter().find(|it| it.id == sums.process) else {
        return sums;
    };
    let mut found: HashMap<(String, MappingKind), MappingSite> = HashMap::new();
    for ((key, kind), extent) in weights.0 {
        let Some(site) = sites.get(&key).filter(|site| site.identity.frames > 0) else {
            sums.unseen += extent;
            continue;
        };
        let (places, _) = places_of(space, &session.javascript, site);
        session.names.look_up(
            places.iter(),
            space.pid(),
            space.perf_map.as_ref(),
            &mut session.worker,
        );
        let frames = session.names.frames(&places);
        if is_allocator(space, &frames) {
            sums.allocator += extent;
            continue;
        }
        let source =
            KernelSource::from_number(site.identity.source).map_or(Source::Unknown, Source::from);
        let site_id = site_id(source, &frames);
        let known = found.entry((site_id.clone(), kind));
        known
            .or_insert_with(|| MappingSite {
                site_id,
                source,
                kind,
                extent: Extent::default(),
                pool: pools::grown(source, &frames).map(str::to_owned),
                frames,
            })
            .extent += extent;
    }
    sums.sites = found.into_values().collect();
    for site in sums.sites.iter_mut().filter(|site| site.pool.is_none()) {
        site.pool = pools::guessed(&site.frames, site.extent.usable_bytes).map(str::to_owned);
    }
    sums.sites.sort_unstable_by(|a, b| {
        let order = |site: &MappingSite| (site.extent.resident_bytes, site.extent.usable_bytes);
        order(b)
            .cmp(&order(a))
            .then_with(|| (&a.site_id, a.kind).cmp(&(&b.site_id, b.kind)))
    });
    sums
}

/// Whether an allocator mapped it outside its calls: when it was loaded, or in
/// a thread of its own.
fn is_allocator(space: &Space, frames: &[Frame]) -> bool {
    frames
        .first()
        .is_some_and(|frame| space.allocator_files.contains(&frame.module))
}
