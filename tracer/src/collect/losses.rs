//! What the kernel side lost, by cause.

use tracer_common::counter::{COUNTERS, Count, Counter};

use crate::{
    model::{Loss, LossCause},
    probe::count_of,
};

/// What the kernel side lost.
pub fn losses(counts: &[Count; COUNTERS as usize]) -> Vec<Loss> {
    const CAUSES: [(Counter, LossCause); 11] = [
        (Counter::LedgerFull, LossCause::LedgerFull),
        (Counter::LedgerOutOfMemory, LossCause::LedgerOutOfMemory),
        (Counter::SiteTableFull, LossCause::SiteTableFull),
        (Counter::StackCollision, LossCause::StackCollision),
        (Counter::StackUnreadable, LossCause::StackUnreadable),
        (Counter::MissedReturn, LossCause::MissedReturn),
        (Counter::UnseenFree, LossCause::UnseenFree),
        (Counter::ThreadTableFull, LossCause::ThreadTableFull),
        (Counter::ResultUnreadable, LossCause::ResultUnreadable),
        (Counter::StackTruncated, LossCause::StackTruncated),
        (Counter::MappingDropped, LossCause::MappingDropped),
    ];
    CAUSES
        .into_iter()
        .map(|(counter, cause)| (count_of(counts, counter), cause))
        .filter(|(count, _)| count.calls > 0)
        .map(|(count, cause)| Loss {
            cause,
            calls: count.calls,
            bytes: Some(count.bytes),
        })
        .collect()
}
