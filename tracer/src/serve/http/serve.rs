//! Connections: how many there are, how long they may take, and what each answer carries.

use std::{convert::Infallible, future::Future, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, Request, Response, header},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time,
};

use super::{
    Guard, Listener,
    guard::Decision,
    listen::Stream,
    patience::Patient,
    refusal::{entered, refused},
};

/// Connections at a time. A browser has six; a scraper one.
const CONNECTIONS: usize = 64;
/// A request's head must have come whole in this time, counted from the connection's beginning or
/// the answer before: a slow client holds a connection no longer, nor does an idle one.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// What is written must be taken in this time, each piece.
const WRITE_TIME: Duration = Duration::from_secs(20);
/// However busy, a connection ends then. Browsers open another by themselves.
const WHOLE_TIME: Duration = Duration::from_secs(600);
/// Room for a head, and for what is written at once.
const HEAD_BYTES: usize = 16 << 10;
/// Header fields of a request.
const HEADERS: usize = 64;
/// What open connections have left when the daemon ends.
const GOODBYE_TIME: Duration = Duration::from_millis(500);
/// After accept(2) failed, such as for want of file descriptors.
const RETRY_TIME: Duration = Duration::from_millis(100);

const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n\
    Content-Length: 21\r\nConnection: close\r\n\r\ntoo many connections\n";

pub async fn serve(
    listener: Listener,
    guard: Guard,
    routes: Router,
    shutdown: impl Future<Output = ()> + Send,
) {
    let guard = Arc::new(guard);
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let (ending, ended) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let stream = tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        let Ok(stream) = stream else {
            time::sleep(RETRY_TIME).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            stream.refuse(TOO_MANY);
            continue;
        };
        let (guard, routes, mut ended) = (Arc::clone(&guard), routes.clone(), ended.clone());
        connections.spawn(async move {
            let ending = async move {
                // The sender goes when the server does.
                let _gone = ended.changed().await;
            };
            connection(stream, guard, routes, ending).await;
            drop(permit);
        });
    }
    drop((listener, ending));
    let all = async { while connections.join_next().await.is_some() {} };
    let _out_of_time = time::timeout(GOODBYE_TIME, all).await;
    connections.shutdown().await;
}

async fn connection(
    stream: Box<dyn Stream>,
    guard: Arc<Guard>,
    routes: Router,
    ending: impl Future<Output = ()>,
) {
    let routes = TowerToHyperService::new(routes);
    let answer = service_fn(|request| {
        let (guard, routes) = (Arc::clone(&guard), routes.clone());
        async move { Ok::<_, Infallible>(answer(&guard, routes, request).await) }
    });
    let stream = TokioIo::new(Patient::new(stream, WRITE_TIME));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .serve_connection(stream, answer);
    let mut connection = pin!(connection);
    let whole_time = time::sleep(WHOLE_TIME);
    tokio::select! {
        // What goes wrong with a connection is its client's.
        _ended = connection.as_mut() => return,
        () = whole_time => {}
        () = ending => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ended = time::timeout(GOODBYE_TIME, connection).await;
}

async fn answer(
    guard: &Guard,
    routes: TowerToHyperService<Router>,
    request: Request<Incoming>,
) -> Response<Body> {
    // A body is refused, so that nobody reads one.
    let (head, _no_body) = request.into_parts();
    let mut response = match guard.decide(&head) {
        Decision::Refuse(refusal) => refused(refusal),
        Decision::Enter(cookie) => entered(&cookie),
        Decision::Pass => {
            let request = Request::from_parts(head, Body::empty());
            match hyper::service::Service::call(&routes, request).await {
                Ok(response) => response,
                Err(impossible) => match impossible {},
            }
        }
    };
    harden(&mut response);
    response
}

/// What every answer carries, unless its route says it more narrowly.
fn harden(response: &mut Response<Body>) {
    let headers = response.headers_mut();
    for (name, value) in [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        (headers.entry(name)).or_insert(HeaderValue::from_static(value));
    }
    for (name, value) in [
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
