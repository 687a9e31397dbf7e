//! Answers that are no page: refusals, and the way in.

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};

use super::guard::Refusal;

/// What a client is told, and what can be done.
const fn told(refusal: Refusal) -> (StatusCode, &'static str) {
    match refusal {
        Refusal::NoHost => (StatusCode::BAD_REQUEST, "one Host is needed\n"),
        Refusal::Host => (
            StatusCode::MISDIRECTED_REQUEST,
            "this name is not known here: ask for localhost or 127.0.0.1 with memtrace's port, or start memtrace with --host-name NAME\n",
        ),
        Refusal::Origin => (
            StatusCode::FORBIDDEN,
            "pages from elsewhere may not ask here\n",
        ),
        Refusal::Token => (
            StatusCode::UNAUTHORIZED,
            "a token is needed: open the address that `memtrace host` printed when it began (http://…/?token=…), or send `Authorization: Bearer TOKEN`. If you followed a link from elsewhere and have been here before, load the page once more.\n",
        ),
        Refusal::Method => (
            StatusCode::METHOD_NOT_ALLOWED,
            "only GET and HEAD are answered\n",
        ),
        Refusal::Body => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "a request may have no body\n",
        ),
    }
}

/// The answer to who may not ask so.
pub fn refused(refusal: Refusal) -> Response<Body> {
    let (status, text) = told(refusal);
    let mut response = plain(status, text);
    let headers = response.headers_mut();
    match refusal {
        Refusal::Method => {
            headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        Refusal::Token => {
            let scheme = HeaderValue::from_static("Bearer realm=\"memtrace\"");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        _ => {}
    }
    // What else the client sends is not read.
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// To the page, with the cookie and without the token, which else would stay in the
/// browser's history and its window.
pub fn entered(cookie: &str) -> Response<Body> {
    let mut response = plain(StatusCode::SEE_OTHER, "");
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, HeaderValue::from_static("/"));
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        headers.insert(header::SET_COOKIE, cookie);
    }
    response
}

/// A line of text.
pub fn plain(status: StatusCode, text: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
