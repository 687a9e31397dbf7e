//! What makes memtrace fail in CI.

use clap::{Args, builder::PossibleValue};

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

/// Bytes: `4096`, `64M`, `1.5GiB`; units are powers of 1024.
pub fn size(text: &str) -> Result<u64, String> {
    let expected = || "a size such as 65536, 512K, 64M or 1.5G".to_owned();
    let is_unit = |c: char| c.is_ascii_alphabetic();
    let (number, unit) = text.split_at(text.find(is_unit).unwrap_or(text.len()));
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(expected()),
    };
    // Whole numbers exactly, however large.
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(1 << shift).ok_or_else(expected);
    }
    let number: f64 = number.trim_end().parse().map_err(|_| expected())?;
    let bytes = number * (1_u64 << shift) as f64;
    if (0.0..9e18).contains(&bytes) {
        Ok(bytes as u64)
    } else {
        Err(expected())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes are read as documented, and nonsense is refused.
    #[test]
    fn sizes_are_validated() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("512K", 512 << 10),
            ("64M", 64 << 20),
            ("64MiB", 64 << 20),
            ("1.5g", 3 << 29),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for nonsense in ["", "M", "-1", "1X", "1e30", "NaN", "inf", "99999999999999G"] {
            assert!(size(nonsense).is_err(), "{nonsense}");
        }
    }

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
