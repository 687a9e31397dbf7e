//! Leaks: sites whose blocks outlive the window, steadily; and growth too slow to call
//! one. The same behind peers that do not read is a backlog.

use std::collections::HashMap;

use super::{
    Facts,
    facts::{STACKS, own_function},
    thresholds as limit, words,
};
use crate::{
    analyze::growth::{Survival, survival},
    model::{
        JAVASCRIPT,
        growth::SiteGrowth,
        verdict::{Confidence, Kind, Verdict, VerdictStack},
    },
};

/// How far from the allocator a collector's own functions stand.
const COLLECTED_FRAMES: usize = 8;

/// Sites that grow as one: of the same functions of the program's own. A function that
/// is compiled anew in mid-trace has other native frames around it, and another site.
struct Grown<'a> {
    /// The largest of them.
    site: &'a SiteGrowth,
    /// Their sums.
    sum: SiteGrowth,
    survival: Survival,
    /// What of their blocks was freed.
    freed_bytes: u64,
    /// Whether a collector frees them: much of what is live may be garbage.
    is_collected: bool,
}

impl Grown<'_> {
    /// Of what a collector frees as much is left of each age: nothing else shows its growth
    /// where the collector came but once or twice in the window.
    fn is_level(&self) -> bool {
        self.is_collected && self.survival.spread <= limit::SPREAD
    }
}

/// The sites of a process that grow as one.
pub fn groups<'a>(facts: &Facts<'a>) -> Vec<Vec<&'a SiteGrowth>> {
    let mut groups: HashMap<Vec<&str>, Vec<&'a SiteGrowth>> = HashMap::new();
    for site in &facts.growth.sites {
        groups.entry(key(facts, site)).or_default().push(site);
    }
    groups.into_values().collect()
}

/// What outlives of a site, and how it did.
pub fn lasting(site: &SiteGrowth, seconds: f64, first_age: usize, is_collected: bool) -> Survival {
    let mut survival = survival(&site.survivors, first_age);
    if is_collected && survival.spread <= limit::SPREAD {
        return survival;
    }
    // It never was less in the last third, whatever the ages of its blocks are.
    survival.lasting_bytes = survival.lasting_bytes.max(site.last_trough_bytes);
    if is_straight(site) {
        // A block that is moved to grow is always young.
        let grown = (site.bytes_per_second * seconds) as u64;
        survival.lasting_bytes = survival.lasting_bytes.max(grown.min(live(site)));
    }
    survival
}

/// What grows steadily and is no garbage, most lasting bytes first. What waits for peers
/// that have stalled may have come to its end.
fn steady<'a>(facts: &Facts<'a>, has_stalled: bool) -> Vec<Grown<'a>> {
    let is_garbage =
        |it: &Grown<'_>| it.survival.lasting_bytes < limit::COLLECTED_BYTES && it.is_collected;
    let mut steady = growing(facts);
    let is_measured = facts.is_measured_to_grow();
    let grows = |it: &Grown<'_>| {
        // The troughs of sites that follow one another do not add up to those of their sum.
        let frees_little = it.freed_bytes as f64 <= limit::KEEPS * live(&it.sum) as f64;
        let goes_on = goes_on(&it.sum) || is_straight(&it.sum);
        has_stalled || is_measured || frees_little || it.is_level() || goes_on
    };
    steady.retain(|it| !is_garbage(it) && grows(it));
    if !has_stalled && is_over(facts, facts.growth_part(sum(&steady))) {
        steady.clear();
    }
    steady
}

/// What grows steadily.
fn growing<'a>(facts: &Facts<'a>) -> Vec<Grown<'a>> {
    let of = |sites: Vec<&'a SiteGrowth>| {
        let site = sites.iter().copied().max_by_key(|it| live(it))?;
        let sum = sum_of(&sites);
        let is_collected = is_collected(facts, site);
        let survival = lasting(&sum, facts.seconds, facts.first_age, is_collected);
        let freed = sites.iter().map(|it| facts.freed_of(&it.site_id));
        Some(Grown {
            site,
            sum,
            survival,
            freed_bytes: freed.fold(0, u64::saturating_add),
            is_collected,
        })
    };
    let grown = groups(facts).into_iter().filter_map(of);
    // That it is steady is measured: a coarse sample has only to tell whose it is.
    let is_measured = facts.is_measured_to_grow();
    let mut steady: Vec<_> = grown
        .filter(|it| {
            let is_steady = it.is_level() || is_steady(&it.sum, &it.survival);
            is_steady || (is_measured && is_rising(&it.sum))
        })
        .collect();
    steady.sort_by(|a, b| {
        let by_size = b.survival.lasting_bytes.cmp(&a.survival.lasting_bytes);
        by_size.then_with(|| a.site.site_id.cmp(&b.site.site_id))
    });
    steady
}

/// The program's own scripts' functions; where there are none the site itself.
fn key<'a>(facts: &Facts<'a>, site: &'a SiteGrowth) -> Vec<&'a str> {
    let frames = facts.frames_of(&site.site_id).unwrap_or_default();
    let scripts = frames.iter().filter(|it| it.module == JAVASCRIPT);
    let own: Vec<&str> = scripts.filter_map(own_function).collect();
    if own.is_empty() {
        vec![&site.site_id]
    } else {
        own
    }
}

/// What of it is live at the end.
pub fn live(site: &SiteGrowth) -> u64 {
    site.survivors
        .iter()
        .fold(0, |sum, it| sum.saturating_add(*it))
}

/// Sites as one.
pub fn sum_of(sites: &[&SiteGrowth]) -> SiteGrowth {
    let mut sum = SiteGrowth::default();
    for site in sites {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut sum.first_trough_bytes, site.first_trough_bytes);
        add(&mut sum.middle_trough_bytes, site.middle_trough_bytes);
        add(&mut sum.last_trough_bytes, site.last_trough_bytes);
        sum.bytes_per_second += site.bytes_per_second;
        sum.error_bytes_per_second = sum
            .error_bytes_per_second
            .hypot(site.error_bytes_per_second);
        for (known, more) in sum.survivors.iter_mut().zip(site.survivors) {
            add(known, more);
        }
    }
    sum
}

/// Whether a collector frees these blocks, some time after nobody needs them.
pub fn is_collected(facts: &Facts<'_>, site: &SiteGrowth) -> bool {
    let frames = facts.frames_of(&site.site_id).unwrap_or_default();
    let functions = frames.iter().filter_map(|it| it.function.as_deref());
    let is_owner = |it: &str| it.contains("BackingStore") || it.contains("JSArrayBuffer");
    facts.has_runtime("V8") && functions.take(COLLECTED_FRAMES).any(is_owner)
}

/// Whether those who allocate are those who send: then it waits for peers, and is not
/// forgotten. Where nobody was seen to send, what the peers wait for was sent before.
fn is_behind_peers(facts: &Facts<'_>, sites: &[Grown<'_>]) -> bool {
    let senders = facts.senders();
    let allocates = (sites.first()).and_then(|it| facts.frames_of(&it.site.site_id));
    let is_same = |name: &str| senders.contains(name);
    let frames = allocates.unwrap_or_default().iter();
    let mut own = frames.filter_map(own_function);
    senders.is_empty() || own.any(is_same)
}

/// Its live bytes rise, and either something of every age is left or they rise in a
/// straight line: a queue that grows gives back its oldest.
fn is_steady(site: &SiteGrowth, survival: &Survival) -> bool {
    let is_even = survival.evenness >= limit::EVENNESS && limit::TREND.contains(&survival.trend);
    is_rising(site) && (is_even || is_straight(site))
}

/// Its live bytes rise, and that is no noise.
fn is_rising(site: &SiteGrowth) -> bool {
    let sure = site.bytes_per_second / site.error_bytes_per_second.max(1.0);
    site.last_trough_bytes > site.middle_trough_bytes && sure > limit::SURE
}

/// Whether all live blocks together stood still in the second half of the time: where one site
/// grows by what another gives back, as while threads warm up one after another, nothing leaks.
fn is_over(facts: &Facts<'_>, bytes: u64) -> bool {
    let moments = &facts.growth.timeline;
    let (Some(first), Some(last)) = (moments.first(), moments.last()) else {
        return false;
    };
    let middle = f64::midpoint(first.seconds, last.seconds);
    let late = moments.iter().filter(|it| it.seconds >= middle);
    let late = late.map(|it| it.live_bytes);
    let (Some(least), Some(most)) = (late.clone().min(), late.max()) else {
        return false;
    };
    // A leak puts half of its bytes there.
    ((most - least) as f64) < limit::LEVEL_PART * bytes as f64 / 2.0
}

/// Whether it still rose in the last third: a cache that is full changes its entries, and
/// has some of every age.
fn goes_on(site: &SiteGrowth) -> bool {
    let risen = (site.last_trough_bytes).saturating_sub(site.first_trough_bytes);
    let late = live(site).saturating_sub(site.last_trough_bytes);
    late as f64 >= limit::GOES_ON * risen as f64 / 2.0
}

/// Whether its live bytes rise in a straight line.
pub fn is_straight(site: &SiteGrowth) -> bool {
    let (first, middle) = (site.first_trough_bytes, site.middle_trough_bytes);
    let early = middle.saturating_sub(first) as f64;
    let late = site.last_trough_bytes.saturating_sub(middle) as f64;
    let sure = site.bytes_per_second / site.error_bytes_per_second.max(1.0);
    early > 0.0 && late >= limit::STRAIGHT * early && sure >= limit::SURE_LINE
}

pub fn judge(facts: &Facts<'_>, has_stalled: bool) -> Option<Verdict> {
    if facts.seconds < limit::WINDOW_SECONDS {
        return None;
    }
    let steady = steady(facts, has_stalled);
    if facts.is_contradicted(sum(&steady)) {
        return None;
    }
    let bytes = facts.growth_part(sum(&steady));
    if bytes < limit::at_least(limit::LEAK_BYTES, limit::LEAK_PART, facts.resident) {
        return None;
    }
    let rate = bytes as f64 / facts.seconds;
    let (kind, summary) = if has_stalled && is_behind_peers(facts, &steady) {
        let summary = format!(
            "User-space backlog behind peers that do not read: {} more in {}, {}.",
            words::bytes(bytes),
            words::seconds(facts.seconds),
            words::rate(rate)
        );
        (Kind::Backlog, summary)
    } else {
        let summary = format!(
            "Leak: {} allocated within {} are never freed, {}.",
            words::bytes(bytes),
            words::seconds(facts.seconds),
            words::rate(rate)
        );
        (Kind::Leak, summary)
    };
    let confidence = match steady.first() {
        Some(it) => facts.sure_by_sample(confidence(&steady), &it.site.site_id),
        None => Confidence::Low,
    };
    let mut verdict = facts.verdict(kind, confidence, bytes, summary);
    verdict.bytes_per_second = rate;
    verdict.evidence = evidence(&steady, bytes);
    verdict.would_change = vec![
        "A cache that is still filling up looks the same: if it has a limit, trace again when it is reached.".to_owned(),
    ];
    verdict.advice = match kind {
        Kind::Backlog => vec![
            "Stop writing when write() returns false, or look at bufferedAmount, and go on at 'drain'; close those who stay behind.".to_owned(),
        ],
        _ => vec![
            "Free what these stacks allocate, or bound what keeps it.".to_owned(),
        ],
    };
    verdict.stacks = stacks(facts, &steady, bytes);
    Some(verdict)
}

/// The stacks that may be those of a leak, where it cannot be told.
pub fn candidates(facts: &Facts<'_>) -> Vec<VerdictStack> {
    let mut largest: Vec<(&str, u64)> = (facts.growth.sites.iter())
        .map(|it| (it.site_id.as_str(), live(it)))
        .collect();
    largest.sort_by_key(|it| std::cmp::Reverse(it.1));
    let whole = largest.iter().map(|it| it.1).fold(0, u64::saturating_add);
    facts.stacks_of(&largest, whole)
}

/// Steady growth that is too little, so far, to accuse anybody.
pub fn slow(facts: &Facts<'_>) -> Option<Verdict> {
    let steady = steady(facts, false);
    let bytes = facts.growth_part(sum(&steady));
    // Most of it replaces what was there: no growth, but for the noise of it.
    if bytes < sum(&steady) / 2 || bytes < limit::SLOW_BYTES {
        return None;
    }
    let rate = bytes as f64 / facts.seconds.max(0.1);
    let wanted = limit::at_least(limit::LEAK_BYTES, limit::LEAK_PART, facts.resident);
    let more = wanted.saturating_sub(bytes) as f64 / rate;
    let more = more.clamp(limit::WINDOW_SECONDS, limit::WINDOW_ASKED_MAX);
    let summary = format!(
        "Not enough data: {} grew steadily, {}. Trace for {} more to be sure.",
        words::bytes(bytes),
        words::rate(rate),
        words::seconds(more)
    );
    let mut verdict = facts.verdict(Kind::NotEnoughData, Confidence::Low, bytes, summary);
    verdict.bytes_per_second = rate;
    verdict.evidence = evidence(&steady, bytes);
    verdict.stacks = stacks(facts, &steady, bytes);
    Some(verdict)
}

fn sum(sites: &[Grown<'_>]) -> u64 {
    let bytes = sites.iter().map(|it| it.survival.lasting_bytes);
    bytes.fold(0, u64::saturating_add)
}

/// The largest decides.
fn confidence(sites: &[Grown<'_>]) -> Confidence {
    let is_sure = |it: &Survival| it.evenness > 0.99 && (0.6..1.7).contains(&it.trend);
    match sites.first() {
        Some(it) if is_sure(&it.survival) || is_straight(&it.sum) => Confidence::High,
        _ => Confidence::Medium,
    }
}

fn evidence(sites: &[Grown<'_>], bytes: u64) -> Vec<String> {
    let Some(Grown { sum, survival, .. }) = sites.first() else {
        return Vec::new();
    };
    vec![
        format!(
            "{} of it is one stack's: {} ± {} a second, at least {}, {} and {} in the thirds of the window.",
            words::share(survival.lasting_bytes.min(bytes), bytes),
            words::bytes(sum.bytes_per_second.max(0.0) as u64),
            words::bytes(sum.error_bytes_per_second.max(0.0) as u64),
            words::bytes(sum.first_trough_bytes),
            words::bytes(sum.middle_trough_bytes),
            words::bytes(sum.last_trough_bytes)
        ),
        format!(
            "Of the blocks allocated in each eighth of the window these are left: {}.",
            (sum.survivors.map(words::bytes)).join(", ")
        ),
    ]
}

fn stacks(facts: &Facts<'_>, sites: &[Grown<'_>], bytes: u64) -> Vec<VerdictStack> {
    let whole = bytes.max(sum(sites));
    let of = |it: &Grown<'_>| it.survival.lasting_bytes;
    let mut told: Vec<(&str, u64)> = (sites.iter())
        .map(|it| (it.site.site_id.as_str(), of(it)))
        .collect();
    told.truncate(STACKS);
    // Threads of a runtime have no script in their stacks: who made them work grows beside.
    let are_of_threads = !sites.iter().take(STACKS).any(|it| is_of_scripts(facts, it));
    if facts.has_runtime("V8") && are_of_threads && !told.is_empty() {
        let mut growing = growing(facts).into_iter();
        if let Some(beside) = growing.find(|it| is_of_scripts(facts, it)) {
            told.truncate(STACKS - 1);
            told.push((beside.site.site_id.as_str(), of(&beside)));
        }
    }
    facts.stacks_of(&told, whole)
}

/// Whether a function of the program's own scripts is in its stack.
fn is_of_scripts(facts: &Facts<'_>, grown: &Grown<'_>) -> bool {
    let frames = facts.frames_of(&grown.site.site_id).unwrap_or_default();
    let mut scripts = frames.iter().filter(|it| it.module == JAVASCRIPT);
    scripts.any(|it| own_function(it).is_some())
}
