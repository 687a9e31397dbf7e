//! Leaks: sites whose blocks outlive the window, steadily; and growth too slow to call
//! one. The same behind peers that do not read is a backlog.

use super::{Facts, thresholds as limit, words};
use crate::{
    analyze::growth::{Survival, survival},
    model::{
        growth::SiteGrowth,
        verdict::{Confidence, Kind, Verdict},
    },
};

/// Sites that grow steadily, most lasting bytes first.
fn steady<'a>(facts: &Facts<'a>) -> Vec<(&'a SiteGrowth, Survival)> {
    let of = |site: &'a SiteGrowth| (site, survival(&site.survivors));
    let sites = facts.growth.sites.iter().map(of);
    let mut steady: Vec<_> = sites.filter(|(site, it)| is_steady(site, it)).collect();
    steady.sort_by_key(|(_, it)| std::cmp::Reverse(it.lasting_bytes));
    steady
}

/// Something of every age is left, and the whole rose as well.
fn is_steady(site: &SiteGrowth, survival: &Survival) -> bool {
    let rises = site.last_trough_bytes > site.first_trough_bytes;
    let is_sure = site.bytes_per_second > 2.0 * site.error_bytes_per_second;
    survival.evenness >= limit::EVENNESS
        && limit::TREND.contains(&survival.trend)
        && rises
        && is_sure
}

pub fn judge(facts: &Facts<'_>, has_stalled: bool) -> Option<Verdict> {
    if facts.seconds < limit::WINDOW_SECONDS {
        return None;
    }
    let steady = steady(facts);
    let bytes = sum(&steady);
    if bytes < limit::at_least(limit::LEAK_BYTES, limit::LEAK_PART, facts.resident) {
        return None;
    }
    let rate = bytes as f64 / facts.seconds;
    let (kind, summary) = if has_stalled {
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
    let confidence = confidence(&steady);
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
            "Free what these stacks allocate, or bound what keeps it: the stacks below are the allocations that stay.".to_owned(),
        ],
    };
    verdict.stacks = stacks(facts, &steady, bytes);
    Some(verdict)
}

/// Steady growth that is too little, so far, to accuse anybody.
pub fn slow(facts: &Facts<'_>) -> Option<Verdict> {
    let steady = steady(facts);
    let bytes = sum(&steady);
    if bytes < limit::SLOW_BYTES {
        return None;
    }
    let rate = bytes as f64 / facts.seconds.max(0.1);
    let wanted = limit::at_least(limit::LEAK_BYTES, limit::LEAK_PART, facts.resident);
    let more = wanted.saturating_sub(bytes) as f64 / rate;
    let more = (more.max(limit::WINDOW_SECONDS)).min(limit::WINDOW_ASKED_MAX);
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

fn sum(sites: &[(&SiteGrowth, Survival)]) -> u64 {
    let bytes = sites.iter().map(|(_, it)| it.lasting_bytes);
    bytes.fold(0, u64::saturating_add)
}

/// The largest site decides.
fn confidence(sites: &[(&SiteGrowth, Survival)]) -> Confidence {
    match sites.first() {
        Some((_, it)) if it.evenness > 0.99 && (0.6..1.7).contains(&it.trend) => Confidence::High,
        _ => Confidence::Medium,
    }
}

fn evidence(sites: &[(&SiteGrowth, Survival)], bytes: u64) -> Vec<String> {
    let Some((site, it)) = sites.first() else {
        return Vec::new();
    };
    let share = words::share(it.lasting_bytes, bytes);
    vec![
        format!(
            "{} of it is one stack's: {} ± {} a second, troughs {} to {}.",
            share,
            words::bytes(site.bytes_per_second.max(0.0) as u64),
            words::bytes(site.error_bytes_per_second.max(0.0) as u64),
            words::bytes(site.first_trough_bytes),
            words::bytes(site.last_trough_bytes)
        ),
        format!(
            "Blocks of every age are left: {} of the window's older eighths; the newer half left {:.2} x what the older did.",
            words::share((it.evenness * 1000.0) as u64, 1000),
            it.trend
        ),
    ]
}

fn stacks(
    facts: &Facts<'_>,
    sites: &[(&SiteGrowth, Survival)],
    bytes: u64,
) -> Vec<crate::model::verdict::VerdictStack> {
    let sites: Vec<(&str, u64)> = (sites.iter())
        .map(|(site, it)| (site.site_id.as_str(), it.lasting_bytes))
        .collect();
    facts.stacks_of(&sites, bytes)
}
