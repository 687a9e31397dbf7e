//! Profiles that are pushed: page faults by program since the last time, each interval once,
//! and each closer look when it has ended.

use std::{
    collections::{BTreeMap, HashSet},
    io::Write as _,
    sync::Arc,
    time::Duration,
};

use flate2::{Compression, write::GzEncoder};
use prost::Message as _;
use tokio::sync::watch;

use super::{lane::Lane, pyroscope};
use crate::{
    model::host::{CloserLook, Interval, LineId, LookId, View},
    render::{names, otlp, pprof},
    serve::Sources,
    store::history::History,
};

/// A request is not larger, unless one profile alone is.
const REQUEST_MAX: usize = 4 << 20;

/// A clock that is set back further has been set; less is a view that was made a moment ago.
const SET_BACK_MS: u64 = 60_000;

/// Makes them. What was before it began is not sent.
pub struct Maker {
    view: watch::Receiver<Arc<View>>,
    history: Arc<History>,
    /// Up to when intervals were sent.
    until_ms: u64,
    looks: Option<HashSet<LookId>>,
}

/// Requests by protocol.
#[derive(Default)]
struct Made {
    pyroscope: Batch,
    otlp: Batch,
}

/// Requests, and how many profiles could not be made.
#[derive(Default)]
struct Batch {
    bodies: Vec<Vec<u8>>,
    lost: u64,
}

impl Made {
    /// What could be for either is lost.
    const fn lost(&mut self) {
        self.pyroscope.lost += 1;
        self.otlp.lost += 1;
    }
}

impl Maker {
    pub fn new(sources: &Sources, since_ms: u64) -> Self {
        Self {
            view: sources.view.clone(),
            history: sources.history.clone(),
            until_ms: since_ms,
            looks: None,
        }
    }

    /// Gives the lanes their messages; does not end.
    pub async fn run(self, every: Duration, pyroscope: Option<&Lane>, otlp: Option<&Lane>) {
        if pyroscope.is_none() && otlp.is_none() {
            return std::future::pending().await;
        }
        let (to_pyroscope, to_otlp) = (pyroscope.is_some(), otlp.is_some());
        let mut maker = self;
        let mut ticks = tokio::time::interval(every);
        loop {
            ticks.tick().await;
            let round = tokio::task::spawn_blocking(move || {
                let made = maker.round(to_pyroscope, to_otlp);
                (maker, made)
            });
            // It ends only with the runtime.
            let Ok((back, made)) = round.await else {
                return std::future::pending().await;
            };
            maker = back;
            for (lane, batch) in [(pyroscope, made.pyroscope), (otlp, made.otlp)] {
                let Some(lane) = lane else { continue };
                batch.bodies.into_iter().for_each(|body| lane.push(body));
                (0..batch.lost).for_each(|_| lane.lost());
            }
        }
    }

    /// What is new.
    fn round(&mut self, to_pyroscope: bool, to_otlp: bool) -> Made {
        let mut made = Made::default();
        let view = self.view.borrow().clone();
        let Ok(looks) = self.history.looks() else {
            made.lost();
            return made;
        };
        let new_looks = self.new_looks(&looks);
        let mut requests = Requests {
            host: names::sanitize(&view.host_name).into_owned(),
            to_pyroscope,
            to_otlp,
            made,
            series: Vec::new(),
        };
        match self.new_intervals(view.at_ms) {
            Ok(intervals) => requests.growth(&intervals),
            Err(()) => requests.made.lost(),
        }
        for look in &new_looks {
            requests.look(look, &self.history);
        }
        requests.finish()
    }

    /// Each once: those that begin where the last ones ended, or later.
    fn new_intervals(&mut self, now_ms: u64) -> Result<Vec<Interval>, ()> {
        if now_ms == 0 {
            return Ok(Vec::new());
        }
        if now_ms.saturating_add(SET_BACK_MS) < self.until_ms {
            self.until_ms = now_ms;
        }
        let intervals = self
            .history
            .intervals(self.until_ms, now_ms.saturating_add(1));
        let mut intervals = intervals.map_err(|_| ())?;
        intervals.retain(|it| it.start_ms >= self.until_ms && it.end_ms <= now_ms);
        let ends = intervals.iter().map(|it| it.end_ms);
        self.until_ms = ends.max().unwrap_or(self.until_ms);
        Ok(intervals)
    }

    fn new_looks(&mut self, looks: &[CloserLook]) -> Vec<CloserLook> {
        let ids = looks.iter().map(|look| look.id.clone()).collect();
        let Some(known) = self.looks.replace(ids) else {
            return Vec::new();
        };
        let new = looks.iter().filter(|look| !known.contains(&look.id));
        new.cloned().collect()
    }
}

/// Requests as they are made.
struct Requests {
    host: String,
    to_pyroscope: bool,
    to_otlp: bool,
    made: Made,
    series: Vec<pyroscope::RawProfileSeries>,
}

impl Requests {
    fn growth(&mut self, intervals: &[Interval]) {
        let mut programs: BTreeMap<LineId, (&str, &str)> = BTreeMap::new();
        for line in intervals.iter().flat_map(|it| &it.lines) {
            if !line.faulted.is_empty() {
                programs.insert(line.line, (&line.name, &line.group));
            }
        }
        if programs.is_empty() {
            return;
        }
        if self.to_otlp {
            self.otlp(pprof::growth::profile(intervals, None).ok());
        }
        if self.to_pyroscope {
            for (line, (name, group)) in programs {
                let profile = pprof::growth::profile(intervals, Some(line)).ok();
                self.pyroscope("page_faults", (line, name, group), profile.as_ref());
            }
        }
    }

    fn look(&mut self, look: &CloserLook, history: &History) {
        let report = history.report(&look.id).ok();
        let profile = report.and_then(|report| pprof::profile(&report).ok());
        if self.to_pyroscope {
            self.pyroscope("memory", (look.line, &look.name, ""), profile.as_ref());
        }
        if self.to_otlp {
            self.otlp(profile);
        }
    }

    fn otlp(&mut self, profile: Option<pprof::message::Profile>) {
        let request = profile.and_then(|profile| otlp::request(&profile, &self.host));
        let packed = request.and_then(|request| {
            let mut packer = GzEncoder::new(Vec::new(), Compression::default());
            packer.write_all(&request.encode_to_vec()).ok()?;
            packer.finish().ok()
        });
        match packed {
            Some(body) => self.made.otlp.bodies.push(body),
            None => self.made.otlp.lost += 1,
        }
    }

    fn pyroscope(
        &mut self,
        kind: &str,
        (line, name, group): (LineId, &str, &str),
        profile: Option<&pprof::message::Profile>,
    ) {
        let mut packed = Vec::new();
        let written = profile.is_some_and(|it| pprof::pack(it, &mut packed).is_ok());
        if !written {
            self.made.pyroscope.lost += 1;
            return;
        }
        let (name, group) = (names::sanitize(name), names::sanitize(group));
        let line = format!("{:016x}", line.0);
        // An empty label is none, and a service must have a name.
        let name = if name.trim().is_empty() {
            "unknown"
        } else {
            &*name
        };
        let mut labels = vec![("__name__", kind), ("service_name", name), ("line", &*line)];
        labels.extend([("host", &*self.host), ("cgroup", &*group)]);
        labels.retain(|(_, value)| !value.is_empty());
        let series = pyroscope::series(&labels, packed);
        let size = |it: &pyroscope::RawProfileSeries| it.encoded_len();
        if self.series.iter().map(size).sum::<usize>() + size(&series) > REQUEST_MAX {
            self.flush();
        }
        self.series.push(series);
    }

    fn flush(&mut self) {
        if !self.series.is_empty() {
            let series = std::mem::take(&mut self.series);
            let request = pyroscope::PushRequest { series };
            self.made.pyroscope.bodies.push(request.encode_to_vec());
        }
    }

    fn finish(mut self) -> Made {
        self.flush();
        self.made
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::{render::metrics::sample, serve::testing};

    /// Each interval is sent once, whenever it is asked; what was before memtrace began is not,
    /// and a clock that is set back does not stop it.
    #[test]
    fn each_interval_once() {
        let (sender, sources, _directory) = testing::sources(View::default());
        let mut maker = Maker::new(&sources, sample::NOW_MS - 10_000);
        for interval in sample::intervals(1 << 20) {
            sources.history.append(&interval).unwrap();
        }
        let starts = |maker: &mut Maker, now| -> Vec<u64> {
            let new = maker.new_intervals(now).unwrap();
            new.iter().map(|it| it.start_ms).collect()
        };
        assert_eq!(starts(&mut maker, 0), [0_u64; 0]);
        assert_eq!(starts(&mut maker, sample::NOW_MS - 10_001), [0_u64; 0]);
        assert_eq!(
            starts(&mut maker, sample::NOW_MS),
            [sample::NOW_MS - 10_000]
        );
        assert_eq!(starts(&mut maker, sample::NOW_MS), [0_u64; 0]);
        assert_eq!(starts(&mut maker, 1_000_000), [0_u64; 0]);
        let mut past = sample::intervals(1).remove(0);
        (past.start_ms, past.end_ms) = (1_000_000, 1_010_000);
        sources.history.append(&past).unwrap();
        assert_eq!(starts(&mut maker, 1_010_000), [1_000_000]);
        drop(sender);
    }

    /// A host without page faults sends nothing, rather than empty profiles.
    #[test]
    fn nothing_is_not_sent() {
        let (_sender, sources, _directory) = testing::sources(sample::view());
        let made = Maker::new(&sources, 0).round(true, true);
        for batch in [made.pyroscope, made.otlp] {
            assert!(batch.bodies.is_empty() && batch.lost == 0);
        }
    }
}
