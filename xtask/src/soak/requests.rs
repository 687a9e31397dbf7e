//! The busy server, and how many requests it answers over time.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Instant,
};

use crate::bench::{
    Bench,
    measure::median,
    node::{Progress, server},
    processes::Program,
};

/// Each figure is of so many seconds.
const PIECE: u32 = 10;

/// Answers a second in each piece, by when it ended.
type Rates = Arc<Mutex<Vec<(Instant, f64)>>>;

/// A client that never rests.
pub struct Requests {
    rates: Rates,
    _server: Program,
}

impl Requests {
    /// Begins.
    pub fn start(bench: &Bench) -> anyhow::Result<Self> {
        let (server, port) = server(bench, "plain")?;
        let rates = Rates::default();
        let (kept, bench) = (Arc::clone(&rates), bench.clone());
        // It ends with the process, or with the server.
        thread::spawn(move || {
            while let Ok(progress) = Progress::run(&bench, &port, PIECE) {
                let mut rates = kept.lock().unwrap_or_else(PoisonError::into_inner);
                rates.push((Instant::now(), progress.rate()));
            }
        });
        Ok(Self {
            rates,
            _server: server,
        })
    }

    /// How many there were between two moments, against before and after.
    pub fn told(&self, from: Instant, until: Instant) -> anyhow::Result<String> {
        let rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let is_between = |at: &Instant| (from..=until).contains(at);
        let (with, without): (Vec<_>, Vec<_>) = rates.iter().partition(|it| is_between(&it.0));
        let middle = |of: Vec<(Instant, f64)>| median(of.into_iter().map(|it| it.1).collect());
        let (with, without) = (middle(with), middle(without));
        Ok(format!(
            "node HTTP server: {with:.0} requests/s beside it, {:.1}% of the {without:.0} before and after",
            with / without * 100.0
        ))
    }
}
