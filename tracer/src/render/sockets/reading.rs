//! Whether anyone reads what was received, in words.

use crate::model::trace_sockets::Reading;
use crate::render::words;

/// Whether the kernel's counts tell anything.
pub fn is_known(reading: &Reading) -> bool {
    reading.sockets() > reading.unknown
}

/// `never read`; of several connections how many.
pub fn reading(it: &Reading) -> String {
    let all = it.sockets();
    let of = |some: u64, what: &str| match some {
        0 => None,
        _ if some == all => Some(what.to_owned()),
        some => Some(format!("{} {what}", words::count(some))),
    };
    let seconds = |ms: u64| words::seconds(ms as f64 / 1e3);
    let not_lately = format!("with no byte read for at least {}", seconds(it.not_for_ms));
    let read = format!(
        "still read, {} in {}",
        words::bytes(it.read_bytes),
        seconds(it.read_over_ms)
    );
    let parts = [
        of(it.never, "never read"),
        of(it.not_lately, &not_lately),
        of(it.read, &read),
        of(it.unknown, "of which that is not known"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of the three has its words, and of a mixture the numbers.
    #[test]
    fn says_who_reads() {
        let none = Reading::default();
        let never = Reading { never: 2, ..none };
        let stopped = Reading {
            not_lately: 1,
            not_for_ms: 12_400,
            ..none
        };
        let read = Reading {
            read: 3,
            read_bytes: 2048,
            read_over_ms: 5_000,
            ..none
        };
        let unknown = Reading { unknown: 1, ..none };
        assert_eq!(reading(&never), "never read");
        assert_eq!(reading(&stopped), "with no byte read for at least 12.4 s");
        assert_eq!(reading(&read), "still read, 2.0 KiB in 5.0 s");
        let all = never.and(stopped).and(read).and(unknown);
        assert_eq!(
            reading(&all),
            "2 never read, 1 with no byte read for at least 12.4 s, \
             3 still read, 2.0 KiB in 5.0 s, 1 of which that is not known"
        );
        assert!(is_known(&all) && !is_known(&unknown) && !is_known(&none));
    }
}
