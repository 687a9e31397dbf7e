//! Who may ask: decided from a request's head alone, without input or output.
//!
//! A token keeps out other users of the machine. The `Host` is checked because a page
//! elsewhere could have its own name lead here (DNS rebinding), `Origin` and `Sec-Fetch-Site`
//! because it could have the browser ask here with our cookie.

mod hosts;

use std::net::SocketAddr;

use axum::http::{HeaderMap, Method, Uri, header, request::Parts};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::token::{Fingerprint, Token, cookie};
use hosts::Hosts;

/// Lets requests pass, or not.
pub struct Guard {
    hosts: Hosts,
    /// `None`: who can reach us may ask.
    secret: Option<Secret>,
}

struct Secret {
    token: Fingerprint,
    cookie: Fingerprint,
    /// `NAME=VALUE`. The name has the port, so that two of us do not take away each other's.
    cookie_text: String,
    cookie_name: String,
}

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is answered.
    Pass,
    /// It came with the token in its address: it is sent to the page without it, with this
    /// `Set-Cookie`.
    Enter(String),
    /// It is refused.
    Refuse(Refusal),
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No `Host`, or several.
    NoHost,
    /// A `Host` that is not ours.
    Host,
    /// Asked by a page from elsewhere.
    Origin,
    /// Without the token.
    Token,
    /// Not to be read.
    Method,
    /// With a body.
    Body,
}

impl Guard {
    /// For a listener at `address` (`None`: a Unix socket, whose mode is the guard). `names` are
    /// other names that it is asked by: `NAME` with any port, or `NAME:PORT`.
    #[must_use]
    pub fn new(address: Option<SocketAddr>, token: Option<&Token>, names: &[String]) -> Self {
        let cookie_name = address.map_or_else(
            || "memtrace".to_owned(),
            |it| format!("memtrace-{}", it.port()),
        );
        let secret = token.map(|token| Secret {
            token: Fingerprint::of(token.text()),
            cookie: Fingerprint::of(&cookie(token)),
            cookie_text: format!("{cookie_name}={}", cookie(token)),
            cookie_name,
        });
        let hosts = Hosts::new(address, names);
        Self { hosts, secret }
    }

    /// Decides on a request.
    #[must_use]
    pub fn decide(&self, request: &Parts) -> Decision {
        match self.check(request) {
            Ok(decision) => decision,
            Err(refusal) => Decision::Refuse(refusal),
        }
    }

    fn check(&self, request: &Parts) -> Result<Decision, Refusal> {
        let headers = &request.headers;
        let host = one(headers, "host").ok_or(Refusal::NoHost)?;
        // The address of a request may have a host of its own (RFC 9112, 3.2.2).
        let asked = request.uri.authority().map(|it| it.as_str());
        if !self.hosts.has(host) || !asked.is_none_or(|it| it.eq_ignore_ascii_case(host)) {
            return Err(Refusal::Host);
        }
        if !is_own_origin(headers, host) {
            return Err(Refusal::Origin);
        }
        let decision = self.authorize(headers, &request.uri)?;
        if request.method != Method::GET && request.method != Method::HEAD {
            return Err(Refusal::Method);
        }
        let length = headers.get(header::CONTENT_LENGTH);
        let is_empty = length.is_none_or(|it| it.as_bytes() == b"0");
        if !is_empty || headers.contains_key(header::TRANSFER_ENCODING) {
            return Err(Refusal::Body);
        }
        Ok(decision)
    }

    fn authorize(&self, headers: &HeaderMap, uri: &Uri) -> Result<Decision, Refusal> {
        let Some(secret) = &self.secret else {
            return Ok(Decision::Pass);
        };
        if let Some(offered) = headers.get(header::AUTHORIZATION) {
            let offered = offered.to_str().ok().and_then(credentials);
            let is_right = offered.is_some_and(|it| secret.token.is_of(&it));
            return is_right.then_some(Decision::Pass).ok_or(Refusal::Token);
        }
        if let Some(offered) = token_in(uri) {
            let cookie = format!("{}; Path=/; HttpOnly; SameSite=Strict", secret.cookie_text);
            let is_right = secret.token.is_of(offered);
            return is_right
                .then_some(Decision::Enter(cookie))
                .ok_or(Refusal::Token);
        }
        let cookies = headers.get_all(header::COOKIE).into_iter();
        let mut cookies = cookies
            .filter_map(|it| it.to_str().ok())
            .flat_map(|it| it.split(';'))
            .filter_map(|it| it.trim().split_once('='))
            .filter(|(name, _)| *name == secret.cookie_name);
        match cookies.any(|(_, value)| secret.cookie.is_of(value)) {
            true => Ok(Decision::Pass),
            false => Err(Refusal::Token),
        }
    }
}

/// The only one of that name.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut all = headers.get_all(name).into_iter();
    let only = all.next()?;
    match all.next() {
        None => only.to_str().ok(),
        Some(_) => None,
    }
}

/// Not asked by a page from elsewhere; a link elsewhere may be followed, which sends no cookie
/// of ours (`SameSite=Strict`). Other ports of the same host are the same site, but not the
/// same origin.
fn is_own_origin(headers: &HeaderMap, host: &str) -> bool {
    let is_own = |origin: &str| {
        let scheme = ["http://", "https://"];
        let rest = scheme.iter().find_map(|it| origin.strip_prefix(it));
        rest.is_some_and(|it| it.eq_ignore_ascii_case(host))
    };
    let origins = headers.get_all(header::ORIGIN).into_iter();
    if !origins.into_iter().all(|it| it.to_str().is_ok_and(is_own)) {
        return false;
    }
    let fetched = |name: &str, one_of: &[&str]| {
        let value = headers.get(name).map(|it| it.to_str().unwrap_or_default());
        value.is_none_or(|it| one_of.contains(&it))
    };
    let is_top = || {
        let is = |name: &str, value: &str| headers.get(name).is_some_and(|it| it == value);
        is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document")
    };
    fetched("sec-fetch-site", &["same-origin", "none"]) || is_top()
}

/// Of `Bearer TOKEN`, or of `Basic` whose password is the token, which is how a client says it
/// that takes it from its address (`go tool pprof http://memtrace:TOKEN@…`).
fn credentials(header: &str) -> Option<String> {
    let (scheme, rest) = header.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
    decoded
        .split_once(':')
        .map(|(_, password)| password.to_owned())
}

/// Of `/?token=…`, and of no other address.
fn token_in(uri: &Uri) -> Option<&str> {
    let query = (uri.path() == "/").then(|| uri.query()).flatten()?;
    query.split('&').find_map(|it| it.strip_prefix("token="))
}

#[cfg(test)]
mod tests;
