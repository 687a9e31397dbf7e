//! What a scenario tells of itself: lines of JSON, each with a time and counters.

use std::collections::BTreeSet;

use anyhow::Context as _;
use serde_json::Value;

use super::case::Bytes;

/// The lines of one run, in the order in which they were written.
pub struct Truth(Vec<Value>);

impl Truth {
    /// From a file; a last line that is not whole yet is left out.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let lines = whole
            .lines()
            .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()));
        Ok(Self(lines.collect::<anyhow::Result<_>>()?))
    }

    /// The processes that are to be traced; `None` until it may be attached to.
    pub fn pids(&self) -> Option<Vec<u32>> {
        let line = self.0.iter().find(|line| line["pid"].is_u64())?;
        let others = line["pids"].as_array().into_iter().flatten();
        let pids = std::iter::once(&line["pid"]).chain(others);
        pids.map(|pid| u32::try_from(pid.as_u64()?).ok()).collect()
    }

    /// The process whose truth it was at the end of a window.
    pub fn pid_at(&self, ns: u64) -> Option<u64> {
        let before = |line: &&Value| line["ns"].as_u64().is_some_and(|time| time <= ns);
        self.0
            .iter()
            .filter(before)
            .filter_map(|line| line["pid"].as_u64())
            .next_back()
    }

    /// The lines that tell of a window: those beside its ends, of the process whose truth
    /// it was at its end.
    pub fn around(&self, start_ns: u64, end_ns: u64) -> Vec<&Value> {
        let pid = self.pid_at(end_ns);
        let mut wanted = BTreeSet::new();
        // Those without a process are another's that tells.
        for pid in [pid, None] {
            let own = |(_, line): &(usize, &Value)| line["pid"].as_u64() == pid;
            let own: Vec<_> = self.0.iter().enumerate().filter(own).collect();
            for ns in [start_ns, end_ns] {
                let is_before = |line: &Value| line["ns"].as_u64().is_some_and(|it| it < ns);
                let behind = own.partition_point(|(_, line)| is_before(line));
                let beside = [behind.saturating_sub(1), behind];
                wanted.extend(beside.iter().filter_map(|it| Some(own.get(*it)?.0)));
            }
        }
        wanted.iter().filter_map(|it| self.0.get(*it)).collect()
    }

    /// By how much it rose between two times, ns. A process that came later began with what its first line tells.
    pub fn rise(&self, bytes: &Bytes, start_ns: u64, end_ns: u64) -> anyhow::Result<f64> {
        let pid = self.pid_at(end_ns).context("it told nothing in time")?;
        let rise = |field: &str| {
            let points: Vec<(f64, f64)> = self
                .0
                .iter()
                .filter(|line| line["pid"].as_u64().is_none_or(|its| its == pid))
                .filter_map(|line| Some((line["ns"].as_f64()?, line[field].as_f64()?)))
                .collect();
            let at = |ns: u64| {
                value_at(&points, ns as f64).with_context(|| format!("it never told {field}"))
            };
            anyhow::Ok(at(end_ns)? - at(start_ns)?)
        };
        let less = bytes.less.as_deref().map_or(Ok(0.0), rise)?;
        Ok(rise(&bytes.of)? - less)
    }
}

/// Between two lines as on a straight line; before the first and after the last as they are.
fn value_at(points: &[(f64, f64)], time: f64) -> Option<f64> {
    let next = points.iter().position(|point| point.0 >= time);
    match next {
        None => points.last().map(|point| point.1),
        Some(0) => points.first().map(|point| point.1),
        Some(next) => {
            let (before, after) = (points[next - 1], points[next]);
            let share = (time - before.0) / (after.0 - before.0);
            Some(before.1 + (after.1 - before.1) * share)
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn leaked() -> Bytes {
        Bytes {
            of: "leaked".to_owned(),
            less: None,
            tolerance: 5.0,
        }
    }

    /// Between two lines the truth is on the line between them, and half a line is none.
    #[test]
    fn between_lines() {
        let truth = Truth::parse(
            "{\"ns\":100,\"pid\":7,\"leaked\":10,\"live\":1}\n{\"ns\":200,\"pid\":7,\"leaked\":30,\"live\":6}\n{\"ns\":30",
        )
        .unwrap();
        assert_eq!(truth.rise(&leaked(), 100, 150).unwrap(), 10.0);
        assert_eq!(truth.rise(&leaked(), 50, 900).unwrap(), 20.0);
        let less = Bytes {
            less: Some("live".to_owned()),
            ..leaked()
        };
        assert_eq!(truth.rise(&less, 100, 200).unwrap(), 15.0);
        assert!(
            truth
                .rise(
                    &Bytes {
                        of: "no".to_owned(),
                        ..leaked()
                    },
                    1,
                    2
                )
                .is_err()
        );
    }

    /// What is kept of a truth says the same of its window.
    #[test]
    fn enough_around() {
        let line = |ns: u64| format!("{{\"ns\":{ns},\"pid\":7,\"leaked\":{}}}\n", ns * ns);
        let text: String = (0..100).map(|it| line(it * 10)).collect();
        let truth = Truth::parse(&text).unwrap();
        for (start, end) in [(105, 905), (100, 900), (0, 5), (3, 5000)] {
            let kept = truth.around(start, end);
            assert!(kept.len() <= 4);
            let kept: String = kept.iter().map(|it| format!("{it}\n")).collect();
            let kept = Truth::parse(&kept).unwrap();
            let rise = |truth: &Truth| truth.rise(&leaked(), start, end).unwrap();
            assert_eq!(rise(&truth), rise(&kept), "{start} to {end}");
        }
    }

    /// After a restart the truth is the new process's, and lines without a process are anyone's.
    #[test]
    fn restarted() {
        let text = "{\"ns\":1,\"pid\":7,\"pids\":[8,9],\"leaked\":50}\n{\"ns\":2,\"queued\":3}\n{\"ns\":3,\"pid\":11,\"leaked\":5}\n{\"ns\":5,\"pid\":11,\"leaked\":9}\n";
        let truth = Truth::parse(text).unwrap();
        assert_eq!(truth.pids(), Some(vec![7, 8, 9]));
        assert_eq!(truth.pid_at(2), Some(7));
        assert_eq!(truth.pid_at(9), Some(11));
        assert_eq!(truth.rise(&leaked(), 1, 5).unwrap(), 4.0);
        assert_eq!(Truth::parse("").unwrap().pids(), None);
        assert!(Truth::parse("{]\n").is_err());
    }
}
