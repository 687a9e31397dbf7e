use proptest::prelude::*;

use super::*;
use crate::{
    analyze::growth::{age, line},
    model::growth::AGES,
    render::sample,
};

const SECONDS: f64 = 60.0;
const FULL: u64 = 64 << 20;

/// A site whose live bytes were so much at each half second, and its survivors.
fn site(live: impl Fn(f64) -> f64, survivors: [f64; AGES]) -> SiteGrowth {
    let points: Vec<(f64, f64)> = (0..=120)
        .map(|half| f64::from(half) / 2.0)
        .map(|second| (second, live(second / SECONDS) * FULL as f64))
        .collect();
    let whole: Vec<(f64, u64)> = points.iter().map(|it| (it.0, it.1 as u64)).collect();
    let [first, middle, last] = thirds(&whole);
    let line = line(&points);
    SiteGrowth {
        site_id: String::new(),
        first_trough_bytes: first,
        middle_trough_bytes: middle,
        last_trough_bytes: last,
        bytes_per_second: line.slope,
        error_bytes_per_second: line.error,
        survivors: survivors.map(|it| (it * FULL as f64) as u64),
    }
}

/// Allocated at the moments `born` (0 to 1), the same of each, of which all live.
fn ages(born: impl Iterator<Item = f64>) -> [f64; AGES] {
    let born: Vec<f64> = born.collect();
    let mut ages = [0.0; AGES];
    for moment in &born {
        ages[age(*moment, 1.0)] += 1.0 / born.len() as f64;
    }
    ages
}

fn moments(from: f64, to: f64) -> impl Iterator<Item = f64> {
    (0..1000).map(move |it| from + (to - from) * f64::from(it) / 1000.0)
}

fn leak() -> SiteGrowth {
    site(|x| x, ages(moments(0.0, 1.0)))
}

fn share_of_a_leak(site: &SiteGrowth) -> f64 {
    weight(site, SECONDS, 0) as f64 / weight(&leak(), SECONDS, 0) as f64
}

/// A steady leak weighs what it holds; so do one array that is moved to grow, and a queue
/// that grows and gives back its oldest.
#[test]
fn what_grows_steadily_weighs_all() {
    let part = weight(&leak(), SECONDS, 0) as f64 / FULL as f64;
    assert!((0.99..=1.0).contains(&part), "{part}");
    let moved = site(|x| x, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    assert!(share_of_a_leak(&moved) > 0.95);
    let queue = site(|x| x, [0.0, 0.0, 0.0, 0.0, 0.1, 0.3, 0.3, 0.3]);
    assert!(share_of_a_leak(&queue) > 0.95);
    // In steps of three seconds.
    let step = |x: f64| (x * 20.0).floor() / 20.0;
    let bursts = site(step, ages(moments(0.0, 1.0).map(step)));
    assert!(
        share_of_a_leak(&bursts) > 0.9,
        "{}",
        share_of_a_leak(&bursts)
    );
}

/// What fills up and stays, whether it then keeps, changes or evicts its entries; a pool,
/// a burst, and teeth weigh less than a twentieth of a leak of their size.
#[test]
fn what_only_looks_like_it_weighs_little() {
    for percent in [5_u32, 20, 40, 50, 60] {
        let full = f64::from(percent) / 100.0;
        let fills = |x: f64| (x / full).min(1.0);
        let keeps = site(fills, ages(moments(0.0, full)));
        assert!(share_of_a_leak(&keeps) < 0.05, "{percent}");
        // Half of the first entries were replaced since.
        let later = moments(full, 1.0).chain(moments(0.0, full));
        let changes = site(fills, ages(later));
        assert!(share_of_a_leak(&changes) < 0.05, "{percent}");
        let evicts = site(fills, ages(moments(1.0 - full, 1.0)));
        assert!(share_of_a_leak(&evicts) < 0.05, "{percent}");
    }
    let pool = site(|_| 1.0, [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(weight(&pool, SECONDS, 0), 0);
    for at in [0.0, 0.2, 0.4, 0.7, 0.95] {
        let burst = site(
            |x| f64::from(u8::from(x > at)),
            ages(std::iter::once(at + 0.01)),
        );
        assert!(share_of_a_leak(&burst) < 0.05, "{at}");
    }
    for teeth in [1.5, 2.5, 4.7, 9.3, 30.5] {
        let tooth = |x: f64| (x * teeth).fract();
        let begun = 1.0 - tooth(1.0) / teeth;
        let saw = site(tooth, ages(moments(begun, 1.0)).map(|it| it * tooth(1.0)));
        assert!(
            share_of_a_leak(&saw) < 0.05,
            "{teeth}: {}",
            share_of_a_leak(&saw)
        );
    }
}

/// A leak that grows twice as fast weighs twice as much.
#[test]
fn weight_goes_by_bytes() {
    let mut half = leak();
    half.bytes_per_second /= 2.0;
    half.error_bytes_per_second /= 2.0;
    for it in [
        &mut half.first_trough_bytes,
        &mut half.middle_trough_bytes,
        &mut half.last_trough_bytes,
    ]
    .into_iter()
    .chain(&mut half.survivors)
    {
        *it /= 2;
    }
    let share = share_of_a_leak(&half);
    assert!((0.499..0.501).contains(&share), "{share}");
}

proptest! {
    /// No site weighs more than is live of it, nor more when less is sure, nor less when
    /// its slope is steeper.
    #[test]
    fn weights_are_bounded_and_monotone(
        troughs in prop::array::uniform3(0..1_u64 << 49),
        survivors in prop::array::uniform8(0..1_u64 << 49),
        slope in -1e9..1e12_f64,
        (error, more) in (0.0..1e12_f64, 0.0..1e12_f64),
        seconds in 0.0..1e6_f64,
    ) {
        let [first_trough_bytes, middle_trough_bytes, last_trough_bytes] = troughs;
        let site = SiteGrowth {
            site_id: String::new(),
            first_trough_bytes,
            middle_trough_bytes,
            last_trough_bytes,
            bytes_per_second: slope,
            error_bytes_per_second: error,
            survivors,
        };
        let weighed = weight(&site, seconds, 0);
        prop_assert!(weighed <= live(&site));
        let mut less_sure = site.clone();
        less_sure.error_bytes_per_second += more;
        prop_assert!(weight(&less_sure, seconds, 0) <= weighed);
        let mut steeper = site;
        steeper.bytes_per_second += more;
        prop_assert!(weight(&steeper, seconds, 0) >= weighed);
    }

    /// In any report no stack of an allocator weighs more than is live of it, the largest
    /// comes first, and the same report weighs the same.
    #[test]
    fn any_report_is_weighed(report in sample::any_report()) {
        let weights = weigh(&report);
        prop_assert!(weights.sites.iter().all(|it| it.bytes > 0));
        prop_assert!(weights.sites.is_sorted_by_key(|it| Reverse(it.bytes)));
        for it in weights.sites.iter().filter(|it| it.origin == Origin::Malloc) {
            let mut own = report.sites.iter().filter(|site| site.site_id == it.site_id);
            prop_assert!(own.any(|site| it.bytes <= site.counts.live_bytes));
        }
        prop_assert_eq!(weigh(&report), weights);
    }
}
