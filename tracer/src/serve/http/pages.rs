//! The page and its JSON: what stands at which address. Everything is read and rendered on
//! threads of its own, a few at a time, so that no request holds up the daemon.

mod api;
mod history;
mod live;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderName, HeaderValue, Response, StatusCode, header},
    routing::get,
};
use tokio::{sync::Semaphore, task, time};

use super::refusal::plain;
use crate::{
    model::host::{CloserLook, LineId, LookId},
    render::{
        host::page::{self, Ask, LineSources, Page},
        json, pprof,
    },
    serve::{Sources, happened::now_ms},
    store::history::HistoryError,
};

/// Requests at work at a time: each may hold a stretch of the history or a whole report.
const AT_WORK: usize = 2;
/// So long a request waits for its turn.
const TURN_TIME: Duration = Duration::from_secs(15);
/// Live updates at a time; a window each.
const STREAMS: usize = 16;
/// Names of closer looks are about twenty characters long.
const LOOK_ID_MAX: usize = 64;

/// What every route has.
struct Shared {
    sources: Sources,
    work: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

/// Why there is no page.
enum Failure {
    /// There is no such thing.
    Absent(&'static str),
    /// Asked for wrongly: how.
    Asked(String),
    /// Too much is asked for at once.
    Busy,
    /// The history cannot be read: why.
    History(String),
    /// Too large to be answered.
    Large,
}

type Answer = Result<Response<Body>, Failure>;

/// The page's routes, and the answer to all other addresses.
pub fn routes(sources: Sources) -> Router {
    let shared = Arc::new(Shared {
        sources,
        work: Arc::new(Semaphore::new(AT_WORK)),
        streams: Arc::new(Semaphore::new(STREAMS)),
    });
    Router::new()
        .route("/", get(glance))
        .route("/line/{id}", get(line))
        .route("/look/{id}", get(look))
        .route("/look/{id}/report.json", get(recording))
        .route("/look/{id}/profile.pb.gz", get(profile))
        .route("/events", get(live::events))
        .route("/api/view", get(api::view))
        .route("/api/intervals", get(api::intervals))
        .route("/api/looks", get(api::looks))
        .fallback(async || Failure::Absent("There is nothing at this address.").into_answer())
        .with_state(shared)
}

async fn glance(State(shared): State<Arc<Shared>>) -> Response<Body> {
    let view = shared.sources.view.borrow().clone();
    let page = on_thread(move || Ok(page::glance(&view, now_ms())));
    answer(page.await.map(shown))
}

async fn line(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Query(ask): Query<Ask>,
) -> Response<Body> {
    let sources = shared.sources.clone();
    let page = at_work(&shared, move || {
        let line = LineId(
            id.parse()
                .map_err(|_| Failure::Absent("A program's address is its number."))?,
        );
        line_page(&sources, line, &ask)
    });
    answer(page.await.map(shown))
}

fn line_page(sources: &Sources, line: LineId, ask: &Ask) -> Result<Page, Failure> {
    let view = sources.view.borrow().clone();
    let now_ms = if view.at_ms > 0 { view.at_ms } else { now_ms() };
    let (range, goes_on) = ask.range(now_ms).map_err(Failure::Asked)?;
    let before = ask.before().map_err(Failure::Asked)?;
    let history = &sources.history;
    let mut troubles = Vec::new();
    let mut read = |range| {
        history::of_line(history, line, range).unwrap_or_else(|error| {
            troubles.push(history::told(&error));
            Vec::new()
        })
    };
    let intervals = read(range);
    let before = before.map(|range| (range, read(range)));
    let mut looks: Vec<CloserLook> = history.looks().unwrap_or_else(|error| {
        troubles.push(history::told(&error));
        Vec::new()
    });
    looks.retain(|it| it.line == line);
    let newest = looks.first().map(|it| history.report(&it.id));
    let report = newest.and_then(|it| match it {
        Ok(report) => Some(report),
        Err(error) => {
            troubles.push(history::told(&error));
            None
        }
    });
    let page = page::line(&LineSources {
        view: &view,
        line,
        range,
        goes_on,
        intervals: &intervals,
        before: (before.as_ref()).map(|(range, intervals)| (*range, intervals.as_slice())),
        looks: &looks,
        report: report.as_ref(),
        troubles: &troubles,
    });
    page.ok_or(Failure::Absent(
        "No such program is known: it is gone, and the history of this time has nothing of it.",
    ))
}

async fn look(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response<Body> {
    let sources = shared.sources.clone();
    let page = at_work(&shared, move || {
        let id = look_id(id)?;
        let looks = sources.history.looks().map_err(Failure::from)?;
        let look = looks.into_iter().find(|it| it.id == id);
        let look = look.ok_or(Failure::Absent(NO_LOOK))?;
        let report = sources.history.report(&id).map_err(Failure::from)?;
        Ok(page::look(&look, &report))
    });
    answer(page.await.map(shown))
}

const NO_LOOK: &str = "There is no such closer look; it may have been too old to keep.";

/// The whole report of a closer look, as `memtrace report` and `memtrace diff` read it.
async fn recording(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response<Body> {
    download(
        &shared,
        id,
        "application/json",
        "report.json",
        |report, to| json::write(report, to),
    )
    .await
}

async fn profile(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Response<Body> {
    let kind = "application/octet-stream";
    download(&shared, id, kind, "profile.pb.gz", |report, to| {
        pprof::write(report, to)
    })
    .await
}

async fn download(
    shared: &Shared,
    id: String,
    kind: &'static str,
    file: &'static str,
    write: fn(&crate::model::Report, &mut Vec<u8>) -> std::io::Result<()>,
) -> Response<Body> {
    let sources = shared.sources.clone();
    let written = at_work(shared, move || {
        let id = look_id(id)?;
        let report = sources.history.report(&id).map_err(Failure::from)?;
        let mut bytes = Vec::new();
        write(&report, &mut bytes).map_err(|error| Failure::History(error.to_string()))?;
        Ok((id, bytes))
    });
    answer(written.await.map(|(id, bytes)| {
        let mut response = with_kind(Body::from(bytes), kind);
        let name = format!("attachment; filename=\"{}-{file}\"", id.0);
        if let Ok(name) = HeaderValue::from_str(&name) {
            (response.headers_mut()).insert(header::CONTENT_DISPOSITION, name);
        }
        response
    }))
}

/// Digits, letters and hyphens alone: it is part of a file's name elsewhere.
fn look_id(id: String) -> Result<LookId, Failure> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if id.is_empty() || id.len() > LOOK_ID_MAX || !id.bytes().all(is_name) {
        return Err(Failure::Absent(NO_LOOK));
    }
    Ok(LookId(id))
}

/// Does it on a thread that may wait, when it is its turn.
async fn at_work<T: Send + 'static>(
    shared: &Shared,
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let turn = Arc::clone(&shared.work).acquire_owned();
    let Ok(Ok(turn)) = time::timeout(TURN_TIME, turn).await else {
        return Err(Failure::Busy);
    };
    on_thread(move || {
        let _turn = turn;
        work()
    })
    .await
}

/// The same without waiting for a turn: what is made of the view alone is soon made, and must
/// be there while others read a month of history.
async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = task::spawn_blocking(work);
    done.await
        .unwrap_or_else(|error| Err(Failure::History(error.to_string())))
}

fn shown(page: Page) -> Response<Body> {
    let mut response = with_kind(Body::from(page.html), "text/html; charset=utf-8");
    if let Ok(policy) = HeaderValue::from_str(&page.policy) {
        (response.headers_mut()).insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn with_kind(body: Body, kind: &'static str) -> Response<Body> {
    with_header(Response::new(body), header::CONTENT_TYPE, kind)
}

fn with_header(
    mut response: Response<Body>,
    name: HeaderName,
    value: &'static str,
) -> Response<Body> {
    (response.headers_mut()).insert(name, HeaderValue::from_static(value));
    response
}

fn answer(outcome: Answer) -> Response<Body> {
    outcome.unwrap_or_else(Failure::into_answer)
}

impl Failure {
    fn into_answer(self) -> Response<Body> {
        let (status, heading, text) = match self {
            Self::Absent(text) => (StatusCode::NOT_FOUND, "Not found", text.to_owned()),
            Self::Asked(text) => (StatusCode::BAD_REQUEST, "Not understood", text),
            Self::Busy => (
                StatusCode::SERVICE_UNAVAILABLE,
                "Busy",
                "Too much is asked for at once: try again.".to_owned(),
            ),
            Self::History(text) => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "The history cannot be read",
                text,
            ),
            Self::Large => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "Too large",
                "That is too much for one answer: ask for less time, or for one line.".to_owned(),
            ),
        };
        let mut response = shown(page::message(heading, &text));
        *response.status_mut() = status;
        response
    }

    /// The same for who reads JSON.
    fn into_line(self) -> Response<Body> {
        let page = self.into_answer();
        let text = match page.status() {
            StatusCode::NOT_FOUND => "not found\n",
            StatusCode::BAD_REQUEST => {
                "not understood: from and to are Unix milliseconds or UTC as 2026-11-22T09:30, line is a number\n"
            }
            StatusCode::SERVICE_UNAVAILABLE => "busy: try again\n",
            StatusCode::PAYLOAD_TOO_LARGE => "too large: ask for less time, or for one line\n",
            _ => "the history cannot be read\n",
        };
        plain(page.status(), text)
    }
}

impl From<HistoryError> for Failure {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::NoLook(_) => Self::Absent(NO_LOOK),
            error => Self::History(history::told(&error)),
        }
    }
}
