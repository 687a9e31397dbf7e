//! `/metrics`, for Prometheus.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::runtime::Handle;

use super::{Sources, happened::Happened, push::Status};
use crate::render::metrics::{self, Counts, Format};

/// What an answer is made from.
#[derive(Clone)]
struct Metrics {
    sources: Sources,
    counts: Arc<Mutex<Counts>>,
    pushes: Status,
}

/// `/metrics`, without what is pushed.
pub fn routes(sources: Sources) -> Router {
    routes_with(sources, Status::default())
}

/// `/metrics`, and in it what became of the pushes that have this status.
///
/// Events are counted by a task that sees each view; outside of tokio there are no counts.
pub fn routes_with(sources: Sources, pushes: Status) -> Router {
    let counts = Arc::new(Mutex::new(Counts::default()));
    if let Ok(runtime) = Handle::try_current() {
        let happened = Happened::from_now();
        runtime.spawn(count(sources.clone(), happened, counts.clone()));
    }
    let metrics = Metrics {
        sources,
        counts,
        pushes,
    };
    Router::new()
        .route("/metrics", get(answer))
        .with_state(metrics)
}

/// Counts what happens, until nobody looks any more.
async fn count(mut sources: Sources, mut happened: Happened, counts: Arc<Mutex<Counts>>) {
    sources.view.mark_changed();
    while sources.view.changed().await.is_ok() {
        let view = sources.view.borrow_and_update().clone();
        let new = happened.take_new(&view);
        let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        for event in &new {
            *counts.events.entry(metrics::kind(event)).or_default() += 1;
        }
    }
}

async fn answer(State(metrics): State<Metrics>, headers: HeaderMap) -> Response {
    let format = format(&headers);
    let view = metrics.sources.view.borrow().clone();
    let counts = metrics.counts.lock();
    let mut counts = counts.unwrap_or_else(PoisonError::into_inner).clone();
    counts.pushes = metrics.pushes.counts();
    let text = metrics::render(&view, &counts, format);
    ([(header::CONTENT_TYPE, format.content_type())], text).into_response()
}

/// OpenMetrics for whoever takes it, as Prometheus does; for all others the older format.
fn format(headers: &HeaderMap) -> Format {
    let accepted = headers.get_all(header::ACCEPT).iter();
    let takes = accepted
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("application/openmetrics-text"));
    match takes {
        true => Format::OpenMetrics,
        false => Format::Text,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::{model::host::View, render::metrics::sample, serve::testing};

    /// A scraper gets the format that it takes, and an event that comes while memtrace runs is
    /// counted once, however many views tell it.
    #[test]
    fn answers_a_scraper() {
        testing::run(async {
            let (sender, sources, _directory) = testing::sources(View::default());
            let address = testing::serve(routes(sources)).await;
            let metrics = async |accept| testing::get(address, "/metrics", accept).await;
            assert!(
                metrics("*/*")
                    .await
                    .contains("content-type: text/plain; version=0.0.4")
            );
            let mut view = sample::view();
            // Of the future: what was before the server began is not counted.
            view.events = vec![sample::out_of_memory(u64::MAX)];
            for at in [3, 2, 1] {
                view.at_ms -= at;
                sender.send(Arc::new(view.clone())).unwrap();
                tokio::task::yield_now().await;
            }
            // The counting task is woken before a request that comes later is read.
            let text = metrics("application/openmetrics-text; version=1.0.0").await;
            assert!(text.contains("content-type: application/openmetrics-text"));
            assert!(text.ends_with("# EOF\n"));
            let count = "\nmemtrace_events_total{what=\"out_of_memory\"} 1\n";
            assert!(text.contains(count), "{text}");
        });
    }
}
