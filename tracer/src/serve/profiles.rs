//! Profiles for scrapers that pull pprof over HTTP, as Grafana Alloy's `pyroscope.scrape` and
//! Parca do: `GET`, an answer 200 with a profile, gzip within.
//!
//! - `/debug/pprof/growth?seconds=N` tells whose page faults made programs larger in the last
//!   N seconds (60 without it), of all programs with labels, or with `line=ID` of one. `seconds`
//!   is what both scrapers add where a profile is configured with `delta`: the answer comes at
//!   once, from the history. Intervals that ended within that time are told, whole; the profile
//!   says which time it is about.
//! - `/debug/pprof/memory?line=ID` is the newest closer look at a program: `inuse_space`,
//!   `alloc_space` and their counts; `look=ID` a certain one.

use std::time::Duration;

use axum::{
    Router,
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use tokio::{sync::Semaphore, time::timeout};

use super::Sources;
use crate::{
    model::host::{LineId, LookId},
    render::pprof,
    store::history::HistoryError,
};

/// A scraper that asks for more has another purpose: that is what the page is for.
const SECONDS_MAX: u64 = 3600;

/// So long a request waits for its turn.
const TURN_TIME: Duration = Duration::from_secs(15);

/// Without `seconds`.
const SECONDS: u64 = 60;

/// The routes of this file.
pub fn routes(sources: Sources) -> Router {
    Router::new()
        .route("/debug/pprof/growth", get(growth))
        .route("/debug/pprof/memory", get(memory))
        .with_state(sources)
}

/// What is asked for.
#[derive(Deserialize)]
struct Asked {
    seconds: Option<u64>,
    line: Option<String>,
    look: Option<String>,
}

impl Asked {
    /// A line's id, as metrics write it.
    fn line(&self) -> Result<Option<LineId>, Problem> {
        let id = |text: &String| match u64::from_str_radix(text, 16) {
            Ok(id) if text.len() <= 16 => Ok(LineId(id)),
            _ => Err(Problem::NotALine),
        };
        self.line.as_ref().map(id).transpose()
    }
}

async fn growth(State(sources): State<Sources>, Query(asked): Query<Asked>) -> Response {
    on_thread(move || {
        let seconds = asked.seconds.unwrap_or(SECONDS);
        if !(1..=SECONDS_MAX).contains(&seconds) {
            return Err(Problem::Seconds);
        }
        let line = asked.line()?;
        let now = sources.view.borrow().at_ms;
        let from = now.saturating_sub(seconds.saturating_mul(1000));
        // An interval is told by the time of its end, so that times side by side share none.
        let mut intervals = sources.history.intervals(from, now.saturating_add(1))?;
        intervals.retain(|interval| (from + 1..=now).contains(&interval.end_ms));
        packed(&pprof::growth::profile(&intervals, line)?)
    })
    .await
}

async fn memory(State(sources): State<Sources>, Query(asked): Query<Asked>) -> Response {
    on_thread(move || {
        let line = asked.line()?;
        let looks = sources.history.looks()?;
        let look = match asked.look {
            Some(look) => LookId(look),
            None => looks
                .into_iter()
                .find(|look| line.is_none_or(|line| look.line == line))
                .map(|look| look.id)
                .ok_or(Problem::NoLook)?,
        };
        packed(&pprof::profile(&sources.history.report(&look)?)?)
    })
    .await
}

fn packed(profile: &pprof::message::Profile) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    pprof::pack(profile, &mut bytes)?;
    Ok(bytes)
}

/// Reads and makes it aside, one at a time: the history is on disk, and a recording large.
async fn on_thread(make: impl FnOnce() -> Result<Vec<u8>, Problem> + Send + 'static) -> Response {
    static AT_WORK: Semaphore = Semaphore::const_new(1);
    let Ok(Ok(turn)) = timeout(TURN_TIME, AT_WORK.acquire()).await else {
        return Problem::Busy.into_response();
    };
    let made = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        make()
    });
    let made = made.await;
    match made.unwrap_or(Err(Problem::Ended)) {
        Ok(bytes) => {
            let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
            (kind, bytes).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("seconds must be from 1 to {SECONDS_MAX}")]
    Seconds,
    #[error("line is no line's id: 16 hexadecimal digits")]
    NotALine,
    #[error("no closer look at it is kept")]
    NoLook,
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error("the profile cannot be written")]
    Write(#[from] std::io::Error),
    #[error("others are being made; ask again")]
    Busy,
    #[error("memtrace ends")]
    Ended,
}

impl Problem {
    const fn status(&self) -> StatusCode {
        match self {
            Self::Seconds | Self::NotALine => StatusCode::BAD_REQUEST,
            Self::NoLook | Self::History(HistoryError::NoLook(_)) => StatusCode::NOT_FOUND,
            Self::History(_) | Self::Write(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Busy | Self::Ended => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status(), format!("{self}\n")).into_response()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::{render::metrics::sample, serve::testing};

    /// A scraper's `seconds` chooses the intervals that ended within them, and what is no
    /// number, line or look is refused with its reason.
    #[test]
    fn answers_a_scraper() {
        testing::run(async {
            let (_sender, sources, _directory) = testing::sources(sample::view());
            for interval in sample::intervals(1 << 20) {
                sources.history.append(&interval).unwrap();
            }
            let address = testing::serve(routes(sources)).await;
            for (path, bytes) in [
                ("growth?seconds=10", 1 << 20),
                ("growth?seconds=11", 2 << 20),
                ("growth", 2 << 20),
                ("growth?line=00000000000000ab", 2 << 20),
                ("growth?line=cd", 16384),
            ] {
                let profile = testing::profile(address, &format!("/debug/pprof/{path}")).await;
                assert_eq!(profile.sample[0].value[0], bytes, "{path}");
            }
            for (path, status) in [
                ("growth?seconds=0", "400"),
                ("growth?seconds=3601", "400"),
                ("growth?seconds=-1", "400"),
                ("growth?line=xyz", "400"),
                ("growth?line=000000000000000ab", "400"),
                ("memory?line=ab", "404"),
                ("memory?look=../../etc/passwd", "404"),
            ] {
                let answer = testing::get(address, &format!("/debug/pprof/{path}"), "*/*").await;
                let expected = format!("HTTP/1.1 {status}");
                assert!(answer.starts_with(&expected), "{path}: {answer}");
            }
        });
    }
}
