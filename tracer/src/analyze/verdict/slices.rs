//! What a sample in slices of time can tell, and what it cannot: estimates from few
//! blocks are coarse, and where frees were let go a block that looks live may have
//! been freed unseen. Such blocks accuse nobody beyond what the process is measured to
//! have grown.

use super::{Facts, leak, thresholds as limit, words};
use crate::{
    analyze::growth::{grown, line},
    model::{
        Site, Slices,
        verdict::{Confidence, Kind, PlaceName, Verdict},
    },
};

impl Facts<'_> {
    /// The slices in which it was sampled, if so.
    fn slices(&self) -> Option<&Slices> {
        self.report.sampling.as_ref()?.slices.as_ref()
    }

    /// By how much the allocator's memory grew, as it is measured without the ledger, of a
    /// trace in slices.
    pub fn measured_growth(&self) -> Option<u64> {
        self.slices()?;
        let place = match self.is_walked() {
            true => PlaceName::AllocatorLive,
            false => PlaceName::OtherAnonymous,
        };
        Some(grown(self.series(place), self.seconds))
    }

    /// Whether the allocator's memory is measured to grow in a straight line, by as much as
    /// a leak has to.
    pub fn is_measured_to_grow(&self) -> bool {
        let series = self.series(PlaceName::AllocatorLive);
        let values: Vec<(f64, f64)> = series.iter().map(|it| (it.0, it.1 as f64)).collect();
        let line = line(&values);
        let least = limit::at_least(limit::LEAK_BYTES, limit::LEAK_PART, self.resident);
        self.is_walked()
            && self.measured_growth().is_some_and(|it| it >= least)
            && line.slope >= limit::SURE_LINE * line.error.max(1.0)
    }

    /// No surer that nothing grows than it can be where frees went unseen.
    pub fn sure_of_health(&self) -> Confidence {
        match self.slices() {
            Some(slices) if slices.unresolved_bytes > 0 => Confidence::Medium,
            _ => Confidence::High,
        }
    }

    /// Whether sites seem to hold far more of what is new than there can be: then most
    /// of it was freed unseen, and whose the rest is cannot be told.
    pub fn is_contradicted(&self, requested: u64) -> bool {
        let has_gaps = self.slices().is_some_and(|it| it.unresolved_bytes > 0);
        let measured = self.measured_growth();
        has_gaps && measured.is_some_and(|it| requested as f64 > limit::UNSEEN * it as f64)
    }

    /// No more sure than the number of blocks allows of which a site's figures are made.
    pub fn sure_by_sample(&self, confidence: Confidence, site_id: &str) -> Confidence {
        let Some(slices) = self.slices() else {
            return confidence;
        };
        let own = |site: &&Site| site.site_id == site_id && site.process == self.process.id;
        let live = self.report.sites.iter().filter(own);
        let live: f64 = live.map(|it| it.counts.live_blocks as f64).sum();
        let part = slices.seconds / self.report.window.seconds.max(f64::EPSILON);
        let recorded = live * part.min(1.0);
        let most = if recorded < limit::BLOCKS_FEW {
            Confidence::Low
        } else if recorded < limit::BLOCKS_MANY || slices.unresolved_bytes > 0 {
            Confidence::Medium
        } else {
            Confidence::High
        };
        confidence.min(most)
    }

    /// Of a trace in slices that found nothing: that the allocator's memory grew all the
    /// same.
    pub fn unexplained(&self) -> Option<Verdict> {
        if !self.is_measured_to_grow() {
            return None;
        }
        let growth = self.measured_growth()?;
        let summary = format!(
            "Not enough data: the allocator's blocks grew by {} in {}, and the slices of time in which calls were recorded do not tell whose they are.",
            words::bytes(growth),
            words::seconds(self.seconds),
        );
        let mut verdict = self.verdict(Kind::NotEnoughData, Confidence::Low, growth, summary);
        verdict.bytes_per_second = growth as f64 / self.seconds.max(0.1);
        verdict.evidence = self.drifts();
        verdict.advice =
            vec!["Trace for longer, or with a larger --budget where that can be borne.".to_owned()];
        verdict.stacks = leak::candidates(self);
        Some(verdict)
    }
}
