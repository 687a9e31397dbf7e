//! One HTTP request: bounded in time and in what is read of the answer, TLS by rustls with
//! the host's own root certificates, no redirects followed.

use std::{
    io::Read as _,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::http::header;
use ureq::{
    Agent,
    tls::{RootCerts, TlsConfig},
};

use super::{
    Destination, OptionsError, USER_AGENT,
    reply::{self, Reply},
};

/// From the name to the end of the answer.
const TIME_MAX: Duration = Duration::from_secs(20);

/// For the connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Of an answer's body. The specification of OTLP 1.11 asks for a limit.
const ANSWER_MAX: u64 = 64 << 10;

/// Of an answer's head.
const HEAD_MAX: usize = 16 << 10;

/// Makes requests; a clone shares its connections.
#[derive(Clone, Debug)]
pub struct Client(Agent);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[error("the TLS library has no provider of cryptography")]
pub struct ClientError(#[from] rustls::Error);

/// Why a message was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error(transparent)]
    Headers(#[from] OptionsError),
    #[error(transparent)]
    Request(#[from] ureq::Error),
}

/// What is sent, beside the body.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// `Content-Type`.
    pub content_type: &'static str,
    /// Headers of the protocol.
    pub headers: &'static [(&'static str, &'static str)],
    /// Whether OTLP's rules hold.
    pub is_otlp: bool,
}

impl Client {
    pub fn new() -> Result<Self, ClientError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        // Found here rather than at the first request, where it would be a panic.
        rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?;
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(provider)
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(TIME_MAX))
            .timeout_connect(Some(CONNECT_MAX))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .max_response_header_size(HEAD_MAX)
            .max_idle_connections_per_host(1)
            .user_agent(USER_AGENT)
            .build();
        Ok(Self(config.new_agent()))
    }

    /// Sends; the thread waits for it.
    pub fn post(
        &self,
        destination: &Destination,
        kind: Kind,
        body: &[u8],
    ) -> Result<Reply, SendError> {
        let mut request = self.0.post(destination.url());
        request = request.content_type(kind.content_type);
        for (name, value) in kind.headers {
            request = request.header(*name, *value);
        }
        for (name, value) in destination.headers()? {
            request = request.header(name, value);
        }
        let mut answer = request.send(body)?;
        let after = answer.headers().get(header::RETRY_AFTER);
        let after = after
            .and_then(|value| value.to_str().ok())
            .and_then(|value| reply::retry_after(value, SystemTime::now()));
        let reply = reply::of_status(answer.status().as_u16(), kind.is_otlp, after);
        // Read in any case: the connection is used again.
        let mut text = Vec::new();
        let body = answer.body_mut().as_reader();
        let is_whole = body.take(ANSWER_MAX).read_to_end(&mut text).is_ok();
        Ok(match reply {
            Reply::Taken { .. } if kind.is_otlp && is_whole => Reply::Taken {
                rejected: reply::rejected(&text),
            },
            reply => reply,
        })
    }
}
