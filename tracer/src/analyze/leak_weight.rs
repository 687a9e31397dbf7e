//! Which bytes outlive the window because their code keeps growing: what `leak.svg` draws.
//!
//! A site weighs what lasts of it, times how steadily it grew (0 to 1), and no more than
//! the slope of its live bytes surely explains: the slope less two standard errors, over
//! the window. What has come to its end (a cache that is full, a pool), falls again
//! (a sawtooth) or is only young weighs nothing or little; a straight rise all it holds.
//! Not seen: that what one stack allocates takes the place of what another did. A full
//! cache that is refilled from another place than it was filled from looks like a leak there.
//!
//! Mappings and sockets have no series of their own in a report, their process's places
//! have: where such a place rises steadily, as the verdict sees it, its rise is shared out
//! to what holds it at the end.

use std::cmp::Reverse;

use super::{
    growth::{grown, thirds},
    verdict::{
        facts::Facts,
        leak::{groups, is_collected, is_straight, lasting, live, sum_of},
        rise::{self, Rising},
        thresholds as limit,
    },
};
use crate::model::{
    Frame, MappingKind, MappingSite, Report, Site, Source, growth::SiteGrowth, trace_sockets::Call,
    verdict::PlaceName,
};

/// Where bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// An allocator.
    Malloc,
    /// Mappings of the program's own.
    Mapped,
    /// The JavaScript heap.
    JsHeap,
    /// The kernel's queues of sockets.
    Sockets,
}

/// A stack and what outlives of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighed<'a> {
    /// [`crate::model::Process::id`].
    pub process: u32,
    /// Where its bytes come from.
    pub origin: Origin,
    /// As [`Site::site_id`]; empty without a stack, and of the JavaScript heap.
    pub site_id: &'a str,
    /// What was called.
    pub source: Source,
    /// Innermost first; `None`: a rise that no stack holds.
    pub frames: Option<&'a [Frame]>,
    /// Its weight.
    pub bytes: u64,
}

/// The weights of a report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights<'a> {
    /// Those that weigh anything, most first.
    pub sites: Vec<Weighed<'a>>,
    /// Live bytes of allocators that do not outlive by growing.
    pub left_out_bytes: u64,
    /// Of those: what a collector may free when it looks.
    pub collected_bytes: u64,
}

impl Weights<'_> {
    /// The sum of one origin, or of all.
    #[must_use]
    pub fn total(&self, origin: Option<Origin>) -> u64 {
        let wanted = |it: &&Weighed<'_>| origin.is_none_or(|origin| it.origin == origin);
        let sites = self.sites.iter().filter(wanted);
        sites.map(|it| it.bytes).fold(0, u64::saturating_add)
    }
}

/// Weighs all that grows in a report.
#[must_use]
pub fn weigh(report: &Report) -> Weights<'_> {
    let mut weights = Weights::default();
    for process in &report.processes {
        if let Some(facts) = Facts::of(report, process) {
            let before = weights.total(Some(Origin::Malloc));
            blocks(&facts, &mut weights);
            let leaked = weights.total(Some(Origin::Malloc)).saturating_sub(before);
            mapped(&facts, leaked, &mut weights);
            sockets(&facts, &mut weights);
        }
    }
    let live = report.totals.counts.live_bytes;
    weights.left_out_bytes = live.saturating_sub(weights.total(Some(Origin::Malloc)));
    (weights.sites).sort_by_key(|it| (Reverse(it.bytes), it.process, it.origin, it.site_id));
    weights
}

/// What a site of this growth weighs in a window of so many seconds: never more than is
/// live of it.
#[must_use]
pub fn weight(site: &SiteGrowth, seconds: f64, first_age: usize) -> u64 {
    let survival = lasting(site, seconds, first_age, false);
    let ages = if is_straight(site) {
        // A block that is moved is always young, a queue gives back its oldest.
        1.0
    } else {
        let even = (survival.evenness / limit::EVENNESS).min(1.0);
        let (low, high) = (*limit::TREND.start(), *limit::TREND.end());
        let trend = survival.trend;
        let trend = (trend / low)
            .min(1.0)
            .min(high / trend.max(f64::MIN_POSITIVE));
        even * trend
    };
    let surely = (site.bytes_per_second - 2.0 * site.error_bytes_per_second) * seconds;
    let rose = site
        .last_trough_bytes
        .saturating_sub(site.first_trough_bytes) as f64;
    let lasting = survival.lasting_bytes.min(live(site)) as f64 * ages * goes_on(site);
    // The troughs lie two thirds of the window apart. NaN is 0.
    lasting.min(surely).min(rose * 1.5).max(0.0) as u64
}

/// How well the growth keeps up, 0 to 1: what the later thirds of the window added beside
/// the average third. A curve that has come to its end adds nothing.
fn goes_on(site: &SiteGrowth) -> f64 {
    let marks = [
        site.first_trough_bytes,
        site.middle_trough_bytes,
        site.last_trough_bytes,
        live(site),
    ];
    let rise = |number: usize| marks[number + 1].saturating_sub(marks[number]) as f64;
    let mean = (rise(0) + rise(1) + rise(2)) / 3.0;
    if mean > 0.0 {
        (rise(1).min(rise(2)) / (mean * limit::STRAIGHT)).min(1.0)
    } else {
        0.0
    }
}

/// The allocators' sites. Those that grow as one are weighed as one.
fn blocks<'a>(facts: &Facts<'a>, weights: &mut Weights<'a>) {
    for sites in groups(facts) {
        let sum = sum_of(&sites);
        let bytes = weight(&sum, facts.seconds, facts.first_age);
        let is_garbage = bytes < limit::COLLECTED_BYTES
            && sites.first().is_some_and(|it| is_collected(facts, it));
        if is_garbage {
            weights.collected_bytes = weights.collected_bytes.saturating_add(bytes);
            continue;
        }
        let whole = live(&sum);
        for grown in sites {
            let Some(site) = site_of(facts, &grown.site_id) else {
                continue;
            };
            // As the report counts it: a damaged one's growth may say anything.
            let own = part(bytes, live(grown), whole).min(site.counts.live_bytes);
            let stack = (site.site_id.as_str(), site.source, site.frames.as_slice());
            push(weights, facts, Origin::Malloc, Some(stack), own);
        }
    }
}

fn site_of<'a>(facts: &Facts<'a>, site_id: &str) -> Option<&'a Site> {
    let is_it = |it: &&Site| it.process == facts.process.id && it.site_id == site_id;
    facts.report.sites.iter().find(is_it)
}

/// What rises beside the allocator, shared out to the stacks that mapped what it holds, or
/// that allocate in it.
fn mapped<'a>(facts: &Facts<'a>, leaked: u64, weights: &mut Weights<'a>) {
    for (what, risen) in rise::risen(facts, leaked) {
        let (origin, holders) = match what {
            Rising::JavascriptHeap => (Origin::JsHeap, javascript(facts, risen)),
            Rising::Place(place) => {
                let kind = match place {
                    PlaceName::Files => MappingKind::File,
                    PlaceName::Shared => MappingKind::Shared,
                    _ => MappingKind::Anonymous,
                };
                (Origin::Mapped, holders(facts.mapped(|it| it.kind == kind)))
            }
        };
        share(weights, facts, origin, risen, &holders);
    }
}

/// Those who allocate in V8's heap; where that was not sampled, those who mapped it.
fn javascript<'a>(facts: &Facts<'a>, risen: u64) -> Vec<(Stack<'a>, u64)> {
    let Some((_, shares)) = facts.javascript_shares(risen) else {
        return holders(facts.javascript_mappings());
    };
    let of = |(frames, share): (&'a [Frame], f64)| {
        let stack = ("", Source::JavascriptHeap, frames);
        (stack, (share * risen as f64) as u64)
    };
    shares.into_iter().map(of).collect()
}

fn holders<'a>(sites: Vec<&'a MappingSite>) -> Vec<(Stack<'a>, u64)> {
    let of = |it: &'a MappingSite| {
        let stack = (it.site_id.as_str(), it.source, it.frames.as_slice());
        (stack, it.extent.resident_bytes)
    };
    sites.into_iter().map(of).collect()
}

/// The queues of sockets; where several processes are traced a report has no series of each.
fn sockets<'a>(facts: &Facts<'a>, weights: &mut Weights<'a>) {
    let risen = grown(facts.series(PlaceName::Sockets), facts.seconds);
    let [_, middle, last] = thirds(facts.series(PlaceName::Sockets));
    if risen < limit::STALLED_BYTES
        || last <= middle
        || !rise::is_steady(facts.series(PlaceName::Sockets))
    {
        return;
    }
    let sites = facts.report.sockets.iter().flat_map(|it| &it.sites);
    let own = sites.filter(|it| it.process == facts.process.id);
    let source = |call| match call {
        Call::Send => Source::Send,
        Call::Receive => Source::Receive,
        Call::Accept => Source::Accept,
        Call::Connect => Source::Connect,
    };
    let holders = own.map(|it| {
        let stack = (it.site_id.as_str(), source(it.call), it.frames.as_slice());
        (stack, it.bytes)
    });
    share(
        weights,
        facts,
        Origin::Sockets,
        risen,
        &holders.collect::<Vec<_>>(),
    );
}

/// Shares a rise out to those who hold it, to none more than it holds; the rest is
/// without a stack.
fn share<'a>(
    weights: &mut Weights<'a>,
    facts: &Facts<'a>,
    origin: Origin,
    risen: u64,
    holders: &[(Stack<'a>, u64)],
) {
    let whole = holders.iter().map(|it| it.1).fold(0, u64::saturating_add);
    let mut left = risen;
    for (stack, bytes) in holders {
        let own = part(risen.min(whole), *bytes, whole).min(left);
        left -= own;
        push(weights, facts, origin, Some(*stack), own);
    }
    // What dividing leaves is nobody's.
    if left > holders.len() as u64 {
        push(weights, facts, origin, None, left);
    }
}

/// A site's id, what it called, and its frames.
type Stack<'a> = (&'a str, Source, &'a [Frame]);

fn push<'a>(
    weights: &mut Weights<'a>,
    facts: &Facts<'_>,
    origin: Origin,
    stack: Option<Stack<'a>>,
    bytes: u64,
) {
    if bytes > 0 {
        let (site_id, source, _) = stack.unwrap_or(("", Source::Unknown, &[]));
        weights.sites.push(Weighed {
            process: facts.process.id,
            origin,
            site_id,
            source,
            frames: stack.map(|it| it.2),
            bytes,
        });
    }
}

/// `bytes × one / whole`.
fn part(bytes: u64, one: u64, whole: u64) -> u64 {
    let part = u128::from(bytes) * u128::from(one) / u128::from(whole.max(1));
    u64::try_from(part).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
