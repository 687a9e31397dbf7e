//! What was lost: in one line for the outputs that have no room for a table, and in
//! sentences for those that have.

use crate::model::Loss;

use super::words;

/// Whether anything was lost.
#[must_use]
pub fn any(losses: &[Loss]) -> bool {
    losses.iter().any(|loss| loss.calls > 0)
}

/// Every cause in a few words, most calls first: `lost: ledger full 1,200
/// calls (5.6 MiB), missed return 34 calls`; `nothing lost` when nothing was.
/// At most `causes` of them are named, the others counted.
#[must_use]
pub fn summary(losses: &[Loss], causes: usize) -> String {
    let mut losses: Vec<&Loss> = losses.iter().filter(|loss| loss.calls > 0).collect();
    if losses.is_empty() {
        return "nothing lost".to_owned();
    }
    losses.sort_by_key(|loss| std::cmp::Reverse(loss.calls));
    let mut parts: Vec<String> = losses.iter().take(causes).map(|loss| one(loss)).collect();
    if let Some(others) = losses.get(causes..).filter(|others| !others.is_empty()) {
        let calls = others
            .iter()
            .fold(0_u64, |sum, loss| sum.saturating_add(loss.calls));
        let thing = if parts.is_empty() {
            "cause"
        } else {
            "other cause"
        };
        parts.push(format!(
            "{} {}",
            words::counted(others.len() as u64, thing),
            words::counted(calls, "call")
        ));
    }
    format!("lost: {}", parts.join(", "))
}

/// What happened to the calls of each cause: `34 calls, 5.6 MiB: not recorded: …`.
pub fn sentences(losses: &[Loss]) -> impl Iterator<Item = String> {
    losses.iter().filter(|loss| loss.calls > 0).map(|loss| {
        let mut figures = words::counted(loss.calls, "call");
        if let Some(bytes) = loss.bytes {
            figures = format!("{figures}, {}", words::bytes(bytes));
        }
        format!("{figures}: {}", loss.cause.describe())
    })
}

fn one(loss: &Loss) -> String {
    let calls = words::counted(loss.calls, "call");
    match loss.bytes {
        Some(bytes) => format!("{} {calls} ({})", loss.cause.label(), words::bytes(bytes)),
        None => format!("{} {calls}", loss.cause.label()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::LossCause;

    /// No cause goes unmentioned: those without room are counted.
    #[test]
    fn names_the_largest_and_counts_the_others() {
        let loss = |cause, calls, bytes| Loss {
            cause,
            calls,
            bytes,
        };
        let losses = [
            loss(LossCause::MissedReturn, 34, None),
            loss(LossCause::LedgerFull, 1_200, Some(2048)),
            loss(LossCause::UnseenFree, 0, None),
            loss(LossCause::ProbeMissed, 1, None),
        ];
        assert_eq!(
            summary(&losses, 3),
            "lost: ledger full 1,200 calls (2.0 KiB), missed return 34 calls, probe missed 1 call"
        );
        assert_eq!(
            summary(&losses, 1),
            "lost: ledger full 1,200 calls (2.0 KiB), 2 other causes 35 calls"
        );
        assert_eq!(summary(&losses, 0), "lost: 3 causes 1,235 calls");
        assert_eq!(summary(&losses[2..3], 1), "nothing lost");
    }
}
