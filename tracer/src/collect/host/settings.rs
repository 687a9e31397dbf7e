//! How a host is watched.

use std::{path::PathBuf, time::Duration};

/// What the command line and the configuration say.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Time between looks.
    pub every: Duration,
    /// What closer looks may take on average, of one processor, 0 to 1.
    pub budget: f64,
    /// Whether there are any.
    pub looks: bool,
    /// At programs of these names; none: at any.
    pub looks_at: Vec<String>,
    /// Length of the first one at a line.
    pub look_for: Duration,
    /// Smaller processes have no line.
    pub min_rss: u64,
    /// Where recordings are made before the history has them.
    pub directory: PathBuf,
}

impl Settings {
    /// Time between looks at those that move fast.
    #[must_use]
    pub fn fast(&self) -> Duration {
        /// So many times as often.
        const TIMES: u32 = 10;
        self.every / TIMES
    }
}
