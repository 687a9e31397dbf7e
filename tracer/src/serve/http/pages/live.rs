//! Live updates: server-sent events (HTML, 9.2) that say when there is something new. What it
//! is the page asks for itself, as it was asked for first.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::State,
    http::{Response, StatusCode},
};
use hyper::body::Frame;
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time,
};

use super::{Shared, with_kind};
use crate::{model::host::View, serve::http::refusal::plain};

/// So that a window that is gone is noticed, where nothing new comes.
const ALIVE: Duration = Duration::from_secs(15);

/// `/events`.
pub async fn events(State(shared): State<Arc<Shared>>) -> Response<Body> {
    let Ok(permit) = Arc::clone(&shared.streams).try_acquire_owned() else {
        let text = "too many windows are open: this one asks again now and then\n";
        return plain(StatusCode::SERVICE_UNAVAILABLE, text);
    };
    let view = shared.sources.view.clone();
    let events = Events {
        next: Box::pin(next(view, true)),
        _permit: permit,
    };
    with_kind(Body::new(events), "text/event-stream")
}

type Next = Option<(watch::Receiver<Arc<View>>, String)>;

/// A body without end.
struct Events {
    next: Pin<Box<dyn Future<Output = Next> + Send>>,
    _permit: OwnedSemaphorePermit,
}

async fn next(mut view: watch::Receiver<Arc<View>>, is_first: bool) -> Next {
    if is_first {
        // The page knows which it was made from.
        let at_ms = view.borrow_and_update().at_ms;
        return Some((view, format!("retry: 5000\ndata: {at_ms}\n\n")));
    }
    let text = match time::timeout(ALIVE, view.changed()).await {
        Err(_nothing_new) => ":\n\n".to_owned(),
        Ok(Ok(())) => format!("data: {}\n\n", view.borrow_and_update().at_ms),
        Ok(Err(_daemon_ends)) => return None,
    };
    Some((view, text))
}

impl HttpBody for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.next.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some((view, text))) => {
                self.next = Box::pin(next(view, false));
                Poll::Ready(Some(Ok(Frame::data(Bytes::from(text)))))
            }
        }
    }
}
