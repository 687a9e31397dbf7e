//! What is sent to other systems: profiles to Pyroscope and to an OpenTelemetry collector,
//! alerts to a webhook.
//!
//! Each destination has a *lane*: a bounded queue and a sender of its own, so that one that is
//! slow or away does not hold up another. A message is sent again, later and later, until it is
//! taken, refused, or too old; what is given up is counted ([`Status`]), in metrics and, by
//! [`Status::losses`], in the view. Nothing waits for a destination but its lane.

mod alerts;
mod backoff;
mod client;
mod lane;
mod options;
mod profiles;
mod pyroscope;
mod queue;
mod reply;
mod status;
mod webhook;

pub use options::{Destination, Options, OptionsError};
pub use status::Status;

use client::{Client, ClientError};
use lane::{Lane, Protocol};

use super::{Sources, happened::now_ms};

/// What an application may say of itself in an HTTP request.
const USER_AGENT: &str = concat!("memtrace/", env!("CARGO_PKG_VERSION"));

/// The path of Pyroscope's method, which is added to its URL.
pub const PYROSCOPE_PATH: &str = pyroscope::PATH;

/// The path of a collector's profiles, which is added to its URL.
pub const OTLP_PATH: &str = "/v1development/profiles";

/// Why nothing can be pushed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PushError {
    /// The host's root certificates cannot be used.
    #[error("no HTTPS requests can be made")]
    Client(#[from] ClientError),
}

/// Sends until `shutdown` is done. Then all ends at once: what waits in queues is not sent.
///
/// # Errors
/// Where no client can be made; what a destination answers is no error but counted.
pub async fn run(
    sources: Sources,
    options: Options,
    status: Status,
    shutdown: impl Future<Output = ()>,
) -> Result<(), PushError> {
    let client = Client::new()?;
    let lane = |protocol, destination: Option<Destination>| {
        Some(Lane::new(protocol, destination?, client.clone(), &status))
    };
    let pyroscope = lane(Protocol::Pyroscope, options.pyroscope);
    let otlp = lane(Protocol::Otlp, options.otlp);
    let webhook = lane(Protocol::Webhook, options.webhook);
    let send = async |lane: Option<&Lane>| match lane {
        Some(lane) => lane.send().await,
        None => std::future::pending().await,
    };
    let profiles = profiles::Maker::new(&sources, now_ms());
    let profiles = profiles.run(options.every, pyroscope.as_ref(), otlp.as_ref());
    let alerts = webhook::run(&sources, now_ms(), webhook.as_ref());
    tokio::select! {
        () = shutdown => {}
        () = profiles => {}
        () = alerts => {}
        () = send(pyroscope.as_ref()) => {}
        () = send(otlp.as_ref()) => {}
        () = send(webhook.as_ref()) => {}
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
