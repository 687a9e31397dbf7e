//! The HTTP server of `memtrace host`: HTTP/1.1 on a loopback address or a Unix socket, every
//! route behind one [`Guard`]. What is answered is rendered or embedded: no file is served, so
//! that no path can lead to one.
//!
//! Other modules add their routes as a [`Router`]: they stand behind the same guard, get the
//! same headers and the same limits, and must not define `/`, `/line/…`, `/look/…`, `/events`,
//! `/api/…` or a fallback, which are the page's.

mod guard;
mod listen;
mod pages;
mod patience;
mod refusal;
mod serve;
mod token;

use std::{future::Future, io, path::PathBuf};

use axum::Router;

pub use guard::Guard;
pub use listen::{Listen, Listener};
pub use token::Token;

use super::Sources;

/// Why nothing can be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The address or socket is taken, or not ours to take.
    #[error("cannot listen on {address}")]
    Listen {
        /// As it was asked for.
        address: String,
        /// The system's reason.
        source: io::Error,
    },
    /// Something else than a socket that nobody listens on stands there.
    #[error("{} is there already, and {what}", path.display())]
    Taken {
        /// Where.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The token cannot be read, made or trusted.
    #[error("the token in {} cannot be used: {why}", path.display())]
    Token {
        /// Where it should be.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The system gave no random numbers.
    #[error("no random numbers for a token")]
    Random(#[source] io::Error),
}

/// Serves until `shutdown` is done, then lets go of every connection within a second.
///
/// `sources` is what the page and its API are made from; `None`: neither is served
/// (`--no-page`). `more` are the routes of others.
///
/// # Errors
/// None after the listener is there: what goes wrong with a connection ends that one.
pub async fn run(
    listener: Listener,
    sources: Option<Sources>,
    guard: Guard,
    more: Vec<Router>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), HttpError> {
    let mut routes = sources.map_or_else(Router::new, pages::routes);
    for other in more {
        routes = routes.merge(other);
    }
    serve::serve(listener, guard, routes, shutdown).await;
    Ok(())
}
