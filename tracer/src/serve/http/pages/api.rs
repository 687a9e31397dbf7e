//! The same as JSON, for programs. The shapes are those of [`crate::model::host`].

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Query, State, rejection::QueryRejection},
    http::Response,
};
use serde::Deserialize;

use super::{Failure, Shared, at_work, history, now_ms, on_thread, with_kind};
use crate::{
    model::host::LineId,
    render::host::page::{Ask, keep_only},
};

/// An answer is no larger.
const BYTES_MAX: usize = 64 << 20;

const JSON: &str = "application/json";

/// `/api/view`: the present.
pub async fn view(State(shared): State<Arc<Shared>>) -> Response<Body> {
    let view = shared.sources.view.borrow().clone();
    let json = on_thread(move || written(&*view));
    json.await.unwrap_or_else(Failure::into_line)
}

/// `/api/looks`: the closer looks that are kept, newest first.
pub async fn looks(State(shared): State<Arc<Shared>>) -> Response<Body> {
    let sources = shared.sources.clone();
    let json = at_work(&shared, move || written(&sources.history.looks()?));
    json.await.unwrap_or_else(Failure::into_line)
}

/// Which intervals; `line`: of each only what is about that one.
#[derive(Deserialize)]
pub struct Which {
    line: Option<String>,
    #[serde(flatten)]
    ask: Ask,
}

/// `/api/intervals?from=…&to=…&line=…`: the past, oldest first, as fine as it is kept.
pub async fn intervals(
    State(shared): State<Arc<Shared>>,
    which: Result<Query<Which>, QueryRejection>,
) -> Response<Body> {
    let Ok(Query(Which { line, ask })) = which else {
        return Failure::Asked(String::new()).into_line();
    };
    let Ok(line) = line.map(|it| it.parse()).transpose() else {
        return Failure::Asked(String::new()).into_line();
    };
    let sources = shared.sources.clone();
    let json = at_work(&shared, move || {
        let (range, _) = ask.range(now_ms()).map_err(Failure::Asked)?;
        let mut json = vec![b'['];
        let mut failed = None;
        history::each(&sources.history, range, |mut interval| {
            if let Some(line) = line {
                keep_only(&mut interval, LineId(line));
            }
            if json.len() > 1 {
                json.extend(b",\n");
            }
            if let Err(error) = serde_json::to_writer(&mut json, &interval) {
                failed = Some(Failure::History(error.to_string()));
            } else if json.len() > BYTES_MAX {
                failed = Some(Failure::Large);
            }
            failed.is_none()
        })?;
        json.extend(b"]\n");
        match failed {
            Some(failed) => Err(failed),
            None => Ok(with_kind(Body::from(json), JSON)),
        }
    });
    json.await.unwrap_or_else(Failure::into_line)
}

fn written(what: &impl serde::Serialize) -> Result<Response<Body>, Failure> {
    let mut json = serde_json::to_vec(what).map_err(|error| Failure::History(error.to_string()))?;
    json.push(b'\n');
    Ok(with_kind(Body::from(json), JSON))
}
