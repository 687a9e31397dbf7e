//! How the traced processes grow: their resident sets and their sites' live bytes,
//! from time to time.

use std::collections::HashMap;

use tracer_common::site::Site as KernelSite;

use super::{clock::Moment, space::Space, timeline::Timeline};
use crate::{
    analyze::growth::{line, thirds_of_line},
    model::growth::{AGES, BYTES_MAX, Growth, Resident, SiteGrowth},
};

/// Sites whose live bytes are followed; when they are so many, the smaller half goes.
const SITES_MAX: usize = 4096;
/// What a site has to hold to be followed, as long as there is room.
const SITE_BYTES_MIN: u64 = 1024;

/// What is known of the growth of a trace's processes.
pub struct Following {
    residents: HashMap<u32, Timeline<Resident>>,
    /// By the kernel's key: seconds and live bytes.
    sites: HashMap<u64, Timeline<(f32, u64)>>,
    /// What a site has to hold to be followed from now on.
    least_bytes: u64,
}

impl Default for Following {
    fn default() -> Self {
        Self {
            residents: HashMap::new(),
            sites: HashMap::new(),
            least_bytes: SITE_BYTES_MIN,
        }
    }
}

/// The live bytes of one moment, while they are being read.
pub struct Reading<'a> {
    following: &'a mut Following,
    seconds: f64,
    live: HashMap<u32, u64>,
}

impl Following {
    /// Begins a moment.
    pub fn read(&mut self, start: Moment) -> Reading<'_> {
        let ns = Moment::now()
            .monotonic_ns
            .saturating_sub(start.monotonic_ns);
        Reading {
            following: self,
            seconds: ns as f64 / 1e9,
            live: HashMap::new(),
        }
    }

    /// Follows a site no longer that holds less than half of them do: a process that
    /// starts makes thousands, and what grows is to have room behind it.
    fn make_room(&mut self) {
        let held = |it: &Timeline<(f32, u64)>| it.newest().map_or(0, |(_, bytes)| bytes);
        let mut bytes: Vec<u64> = self.sites.values().map(held).collect();
        let middle = bytes.len() / 2;
        let (_, median, _) = bytes.select_nth_unstable(middle);
        self.least_bytes = median.saturating_add(1).max(SITE_BYTES_MIN);
        let least = self.least_bytes;
        self.sites.retain(|_, it| held(it) >= least);
    }
}

impl Reading<'_> {
    /// Takes a site's live bytes in.
    pub fn site(&mut self, key: u64, site: &KernelSite, live_bytes: u64) {
        let space = self.live.entry(site.identity.space).or_default();
        *space = space.saturating_add(live_bytes);
        let following = &mut *self.following;
        let moment = (self.seconds as f32, live_bytes);
        if let Some(timeline) = following.sites.get_mut(&key) {
            timeline.add(moment);
        } else if live_bytes >= following.least_bytes {
            if following.sites.len() >= SITES_MAX {
                following.make_room();
            }
            following.sites.entry(key).or_default().add(moment);
        }
    }

    /// Ends the moment: the resident sets of processes, by address space.
    pub fn end(self, processes: impl Iterator<Item = (u32, u32)>) {
        for (space, pid) in processes {
            let Some(resident) = resident(pid) else {
                continue;
            };
            let timeline = self.following.residents.entry(space).or_default();
            timeline.add(Resident {
                seconds: self.seconds,
                live_bytes: self
                    .live
                    .get(&space)
                    .map_or(0, |live| (*live).min(BYTES_MAX)),
                ..resident
            });
        }
    }
}

/// What `/proc/PID/status` has; `None` when the process is gone.
fn resident(pid: u32) -> Option<Resident> {
    let status = procfs::process::Process::new(i32::try_from(pid).ok()?)
        .ok()?
        .status()
        .ok()?;
    let bytes = |kibibytes: Option<u64>| kibibytes.unwrap_or(0).saturating_mul(1024);
    Some(Resident {
        anonymous_bytes: bytes(Some(status.rssanon?)),
        file_bytes: bytes(status.rssfile),
        shared_bytes: bytes(status.rssshmem),
        swapped_bytes: bytes(status.vmswap),
        ..Resident::default()
    })
}

/// A site at the end of a trace.
struct AtEnd<'a> {
    /// The kernel's key.
    key: u64,
    /// [`crate::model::Site::site_id`].
    site_id: &'a str,
    /// What is live by when it was allocated.
    survivors: [u64; AGES],
}

impl Following {
    /// What is known of each process. `sites` with their kernel's keys; `survivors`: what
    /// is live of one by when it was allocated.
    pub fn of_all(
        &self,
        spaces: &[Space],
        sites: &[(u64, KernelSite)],
        site_ids: &HashMap<u64, String>,
        survivors: impl Fn(u64) -> [u64; AGES],
    ) -> Vec<Growth> {
        let mut by_space: HashMap<u32, Vec<AtEnd<'_>>> = HashMap::new();
        for (key, site) in sites {
            if let Some(site_id) = site_ids.get(key) {
                by_space
                    .entry(site.identity.space)
                    .or_default()
                    .push(AtEnd {
                        key: *key,
                        site_id,
                        survivors: survivors(*key),
                    });
            }
        }
        let of = |space: &Space| {
            let sites = by_space.get(&space.id).map_or(&[][..], Vec::as_slice);
            self.of(space, sites)
        };
        spaces.iter().map(of).collect()
    }

    fn of(&self, space: &Space, sites: &[AtEnd<'_>]) -> Growth {
        let timeline = self.residents.get(&space.id).map(Timeline::moments);
        let mut grown: HashMap<&str, SiteGrowth> = HashMap::new();
        let mut left_out_bytes = 0_u64;
        for site in sites {
            let live = sum(&site.survivors);
            let Some(moments) = self.sites.get(&site.key).map(Timeline::moments) else {
                left_out_bytes = left_out_bytes.saturating_add(live).min(BYTES_MAX);
                continue;
            };
            if live > 0 {
                add(grown.entry(site.site_id).or_default(), site, &moments, live);
            }
        }
        let mut sites: Vec<SiteGrowth> = grown.into_values().collect();
        let order = |it: &SiteGrowth| std::cmp::Reverse(sum(&it.survivors));
        sites.sort_by(|a, b| {
            let by_size = order(a).cmp(&order(b));
            by_size.then_with(|| a.site_id.cmp(&b.site_id))
        });
        Growth {
            process: space.id,
            runtime: runtime(space).map(str::to_owned),
            timeline: timeline.unwrap_or_default(),
            sites,
            left_out_bytes,
        }
    }
}

/// The language whose heap stands beside the allocator's.
fn runtime(space: &Space) -> Option<&'static str> {
    let program = space.process.executable.rsplit('/').next();
    let is_python = program.is_some_and(|name| name.starts_with("python"));
    match (&space.v8, is_python) {
        (Some(_), _) => Some("V8"),
        (None, true) => Some("CPython"),
        (None, false) => None,
    }
}

/// Adds what one kernel's site says: stacks that look alike are one site.
fn add(of_site: &mut SiteGrowth, site: &AtEnd<'_>, moments: &[(f32, u64)], live: u64) {
    site.site_id.clone_into(&mut of_site.site_id);
    let points: Vec<(f64, u64)> = moments.iter().map(|it| (f64::from(it.0), it.1)).collect();
    let [first, middle, last] = thirds_of_line(&points);
    let values: Vec<(f64, f64)> = points.iter().map(|it| (it.0, it.1 as f64)).collect();
    let line = line(&values);
    of_site.first_trough_bytes = of_site
        .first_trough_bytes
        .saturating_add(first)
        .min(BYTES_MAX);
    of_site.middle_trough_bytes = of_site
        .middle_trough_bytes
        .saturating_add(middle)
        .min(BYTES_MAX);
    of_site.last_trough_bytes = of_site
        .last_trough_bytes
        .saturating_add(last.min(live))
        .min(BYTES_MAX);
    of_site.bytes_per_second += line.slope;
    of_site.error_bytes_per_second = of_site.error_bytes_per_second.hypot(line.error);
    for (known, more) in of_site.survivors.iter_mut().zip(site.survivors) {
        *known = known.saturating_add(more).min(BYTES_MAX);
    }
}

fn sum(survivors: &[u64; AGES]) -> u64 {
    survivors.iter().fold(0, |sum, it| sum.saturating_add(*it))
}
