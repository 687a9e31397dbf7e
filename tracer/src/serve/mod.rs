//! The server: who may ask, and what is answered where.
//! What `memtrace host` tells others over the network: its page, metrics, profiles, and what it
//! pushes to other systems. Reads the present and the history; collects nothing.

mod happened;
pub mod http;
pub mod metrics;
pub mod profiles;
pub mod push;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod testing;

use std::sync::Arc;

use tokio::sync::watch;

use crate::{model::host::View, store::history::History};

/// What all of it is made from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The present, new with each look.
    pub view: watch::Receiver<Arc<View>>,
    /// The past.
    pub history: Arc<History>,
}
