//! What a trace under a budget tells of itself: how it was sampled, what may have been
//! freed unseen, and what it cost.

use tracer_common::ledger::Block;

use super::turn::Slices;
use crate::{
    collect::{Session, clock::Moment},
    model::{self, Budget, Sampling},
};

/// Blocks that may have been freed while nobody watched.
#[derive(Debug, Default)]
pub struct Unresolved {
    /// Blocks stamped before this, as [`tracer_common::control::Control::now_mark`], are.
    before: u32,
    blocks: u64,
    bytes: u64,
}

impl Unresolved {
    /// For the blocks of a trace that ends.
    pub fn of(session: &Session) -> Self {
        let slices = session.slices.as_ref();
        Self {
            before: slices.map_or(0, Slices::unresolved_before),
            ..Self::default()
        }
    }

    /// Takes a live block in.
    pub fn add(&mut self, block: &Block) {
        if block.age_mark < self.before {
            let weight = u64::from(block.weight);
            self.blocks = self.blocks.saturating_add(weight);
            let bytes = block.size.saturating_mul(weight);
            self.bytes = self.bytes.saturating_add(bytes);
        }
    }
}

impl Session {
    /// Closes the account when the last probe has gone.
    pub(in crate::collect) fn end_slices(&mut self) {
        let cost = self.cost();
        if let Some(slices) = &mut self.slices {
            slices.close(cost);
        }
    }

    /// What it cost; and how it was sampled, if it was.
    pub(in crate::collect) fn account_budget(
        &mut self,
        unresolved: &Unresolved,
        end: Moment,
    ) -> Option<Budget> {
        let slices = self.slices.as_ref()?;
        let window_ns = end.monotonic_ns.saturating_sub(self.start.monotonic_ns);
        let percent_of = |ns: f64| 100.0 * ns / window_ns.max(1) as f64;
        let budget = Budget {
            percent: slices.percent,
            spent_percent: percent_of(slices.spent_ns).max(0.0),
            own_percent: percent_of(slices.own_ns as f64),
        };
        let recorded = slices.recorded();
        if let Some(since) = slices.sampled_since {
            let one_in = window_ns as f64 / recorded.sliced_ns.max(1) as f64;
            self.sampling = Some(Sampling {
                reason: format!(
                    "recording every call would have cost more than {}% of a processor",
                    slices.percent
                ),
                since_seconds: since.as_secs_f64(),
                one_in: one_in.round().clamp(1.0, f64::from(u32::MAX)) as u32,
                // None is certain to be met.
                always_bytes: u64::MAX,
                passed_over: 0,
                slices: Some(model::Slices {
                    count: recorded.slices,
                    seconds: recorded.sliced_ns as f64 / 1e9,
                    frees_seconds: recorded.frees_ns as f64 / 1e9,
                    unresolved_blocks: unresolved.blocks,
                    unresolved_bytes: unresolved.bytes,
                }),
            });
        }
        self.notes.push(format!(
            "Tracing cost {:.2}% of a processor, under a budget of {}%; memtrace itself used {:.1}% beside it.",
            budget.spent_percent, budget.percent, budget.own_percent
        ));
        Some(budget)
    }
}
