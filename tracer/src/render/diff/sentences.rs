//! What to know before the figures are read.

use crate::analyze::diff::{Caveat, Difference, Pace, Side};
use crate::render::{names, words};

/// A sentence for each caveat, and one that tells what is counted and divided by what.
#[must_use]
pub fn sentences(difference: &Difference<'_>) -> Vec<String> {
    let mut sentences: Vec<String> = difference.caveats.iter().map(sentence).collect();
    sentences.extend(pace(&difference.pace));
    sentences
}

fn pace(pace: &Pace) -> Option<String> {
    match pace {
        Pace::Distance(seconds) => {
            let longer = if *seconds < 0.0 { "shorter" } else { "longer" };
            Some(format!(
                "Both were traced from the first allocation, the second {} {longer}: \
                 a difference per second is of that time.",
                words::seconds(seconds.abs())
            ))
        }
        Pace::Windows { .. } => Some(
            "Each counts what was allocated within its own window and not freed by its end. \
             Per second: what the second kept in each of its seconds, less what the first did."
                .to_owned(),
        ),
        Pace::Unknown => None,
    }
}

fn sentence(caveat: &Caveat) -> String {
    match caveat {
        Caveat::Reversed => {
            "The second recording is older than the first: what grew since shows as shrunk."
                .to_owned()
        }
        Caveat::Overlap => "They were traced at the same time in part: \
                            a block can be in both."
            .to_owned(),
        Caveat::Lengths { before, after } => format!(
            "The windows are not of one length ({} and {}): a longer one keeps more.",
            words::seconds(*before),
            words::seconds(*after)
        ),
        Caveat::FromStart(side) => format!(
            "Only {} was traced from the first allocation: \
             the other lacks what its process held before.",
            which(*side)
        ),
        Caveat::Sampled(side) => {
            format!("Figures of {} are estimates: it was sampled.", which(*side))
        }
        Caveat::Lost { side, calls, bytes } => format!(
            "LOST in {}: {}, of which {} are known to have been asked for. \
             Differences of that size can be loss.",
            which(*side),
            words::counted(*calls, "call"),
            words::bytes(*bytes)
        ),
        Caveat::NotCovered(side, allocators) => format!(
            "NOT COVERED in {}: {}; `memtrace report` names them.",
            which(*side),
            words::counted(*allocators as u64, "allocator")
        ),
        Caveat::Notes(side, notes) => format!(
            "{} has {} that `memtrace report` shows.",
            capitalised(*side),
            words::counted(*notes as u64, "note")
        ),
        Caveat::OtherProgram(before, after) => format!(
            "They are of two programs, {} and {}.",
            names::sanitize(before),
            names::sanitize(after)
        ),
        Caveat::OtherBuilds(modules) => {
            let modules: Vec<_> = modules.iter().map(|it| names::sanitize(it)).collect();
            format!(
                "Built anew between the two: {}. Sites in them have other ids and show as gone \
                 and new; diff.svg and diff.folded match them by name.",
                modules.join(", ")
            )
        }
        Caveat::Unmatched { before, after } => format!(
            "Of sites that the other has not: {} of the first recording's live bytes, {} of the \
             second's. They are new or gone, or a program or a script's path is another.",
            words::bytes(*before),
            words::bytes(*after)
        ),
        Caveat::MappingsOf(side) => {
            format!("Only {} has mappings: they are not compared.", which(*side))
        }
    }
}

const fn which(side: Side) -> &'static str {
    match side {
        Side::Before => "the first recording",
        Side::After => "the second recording",
    }
}

const fn capitalised(side: Side) -> &'static str {
    match side {
        Side::Before => "The first recording",
        Side::After => "The second recording",
    }
}
