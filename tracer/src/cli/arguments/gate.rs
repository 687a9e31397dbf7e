//! What makes memtrace fail in CI.

use clap::{Args, builder::PossibleValue};

use super::values::size;
use crate::model::verdict::Kind;

/// `--fail-on` and `--max-growth`.
#[derive(Args, Clone, Debug, Default)]
pub struct Gate {
    /// Exit with status 3 when the verdict on any process is of one of these kinds, after
    /// everything is written, with the reason in a line on standard error. `any`: all but
    /// `not-enough-data`. Where there was too little to tell it passes, and says so.
    #[arg(
        long,
        value_name = "KIND",
        value_delimiter = ',',
        value_enum,
        help_heading = "For CI"
    )]
    pub fail_on: Vec<FailOn>,
    /// Exit with status 3 when the memory of any process rises by more than this and stays
    /// up, whatever the verdict: 64M, 1.5G, or plain bytes. Counted are anonymous, shared and
    /// swapped memory, without pages of files: from their least in the first third of the
    /// trace to their least in the last, from end to end where they only rise.
    #[arg(long, value_name = "BYTES", value_parser = size, help_heading = "For CI")]
    pub max_growth: Option<u64>,
}

impl Gate {
    /// The kinds that are not wanted.
    pub fn kinds(&self) -> Vec<Kind> {
        let is_unwanted = |kind: &Kind| {
            (self.fail_on.iter()).any(|it| it.0.map_or(kind.accuses(), |it| it == *kind))
        };
        Kind::ALL.into_iter().filter(is_unwanted).collect()
    }
}

/// A kind of verdict; `None`: every one that accuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailOn(Option<Kind>);

impl clap::ValueEnum for FailOn {
    fn value_variants<'a>() -> &'a [Self] {
        // All but `healthy`: nobody wants that to fail.
        const VARIANTS: [FailOn; 12] = [
            FailOn(None),
            FailOn(Some(Kind::Leak)),
            FailOn(Some(Kind::Fragmentation)),
            FailOn(Some(Kind::Retention)),
            FailOn(Some(Kind::JsHeap)),
            FailOn(Some(Kind::SendBuffer)),
            FailOn(Some(Kind::ReceiveBuffer)),
            FailOn(Some(Kind::Orphan)),
            FailOn(Some(Kind::AcceptQueue)),
            FailOn(Some(Kind::Backlog)),
            FailOn(Some(Kind::Mapping)),
            FailOn(Some(Kind::NotEnoughData)),
        ];
        &VARIANTS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.map_or("any", Kind::name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `any` is all that accuses, a name is itself, nothing is nothing.
    #[test]
    fn any_is_all_that_accuses() {
        let kinds = |fail_on: &[Option<Kind>]| {
            let gate = Gate {
                fail_on: fail_on.iter().copied().map(FailOn).collect(),
                max_growth: None,
            };
            gate.kinds()
        };
        assert_eq!(kinds(&[]), []);
        assert_eq!(kinds(&[Some(Kind::Leak)]), [Kind::Leak]);
        assert_eq!(kinds(&[None]).len(), 10);
        assert!(!kinds(&[None]).contains(&Kind::NotEnoughData));
        assert_eq!(kinds(&[None, Some(Kind::NotEnoughData)]).len(), 11);
    }
}
