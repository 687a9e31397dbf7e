//! From the samples to the report's part about JavaScript heaps.

use std::collections::HashMap;

use tracer_common::{counter::Count, site::Site as KernelSite};

use crate::{
    collect::{
        CollectError, Session,
        finish::{places_of, site_id},
    },
    model::{
        Source,
        javascript_heap::{JavascriptHeap, JavascriptHeaps, JavascriptSite},
    },
};

/// What the samples say, once no program runs any more. `without_stack`: those that
/// are missing; `seconds`: how long the window was.
pub fn of(
    session: &mut Session,
    without_stack: Count,
    seconds: f64,
) -> Result<Option<JavascriptHeaps>, CollectError> {
    let Some(heaps) = session.javascript_heaps.take() else {
        return Ok(None);
    };
    let mut sites: Vec<KernelSite> = Vec::new();
    (session.kernel).javascript_sites(|_, site| sites.push(*site))?;
    let mut processes = Vec::new();
    let (spaces, javascript) = (&session.spaces, &session.javascript);
    let (names, worker) = (&mut session.names, &mut session.worker);
    for space in spaces.iter().filter(|space| space.v8.is_some()) {
        let own = sites.iter().filter(|site| site.identity.space == space.id);
        let placed: Vec<_> = own
            .map(|site| (site, places_of(space, javascript, site)))
            .collect();
        let places = placed.iter().flat_map(|(_, (places, _))| places);
        names.look_up(places, space.pid(), space.perf_map.as_ref(), worker);
        let mut heap = JavascriptHeap {
            process: space.id,
            timeline: heaps.timeline(space.id),
            ..JavascriptHeap::default()
        };
        let mut found: HashMap<String, JavascriptSite> = HashMap::new();
        for (site, (places, stack_end)) in &placed {
            let frames = names.frames(places);
            let site_id = site_id(Source::JavascriptHeap, &frames);
            heap.samples = heap.samples.saturating_add(site.allocated_blocks);
            heap.allocated_bytes = heap.allocated_bytes.saturating_add(site.allocated_bytes);
            let known = found
                .entry(site_id.clone())
                .or_insert_with(|| JavascriptSite {
                    site_id,
                    frames,
                    stack_end: *stack_end,
                    ..JavascriptSite::default()
                });
            known.samples = known.samples.saturating_add(site.allocated_blocks);
            known.estimated_bytes = known.estimated_bytes.saturating_add(site.allocated_bytes);
        }
        heap.sites = found.into_values().collect();
        for site in &mut heap.sites {
            site.estimated_bytes_per_second = site.estimated_bytes as f64 / seconds.max(0.001);
        }
        heap.sites.sort_unstable_by(|a, b| {
            let by_bytes = b.estimated_bytes.cmp(&a.estimated_bytes);
            by_bytes.then_with(|| a.site_id.cmp(&b.site_id))
        });
        processes.push(heap);
    }
    Ok((!processes.is_empty()).then_some(JavascriptHeaps {
        lost_samples: without_stack.calls,
        lost_bytes: without_stack.bytes,
        processes,
    }))
}
