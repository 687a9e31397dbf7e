//! Helpers of the integration suite: building and driving the traced programs
//! of `programs/`, running memtrace beside them, and comparing the two.
//!
//! Nothing here waits without a deadline, and whatever is started is killed
//! when its owner goes. The tests themselves stand in `suite/`.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod support;

pub use support::*;

/// Ends the test where nothing can be traced, saying so by its name; fails it
/// where `MEMTRACE_MUST_TRACE` says that everything can be.
#[macro_export]
macro_rules! needs_tracing {
    () => {
        if let Some(reason) = $crate::cannot_trace() {
            let thread = std::thread::current();
            let must = std::env::var_os("MEMTRACE_MUST_TRACE").is_some();
            assert!(!must, "cannot trace: {reason}");
            eprintln!("SKIPPED {}: {reason}", thread.name().unwrap_or("?"));
            return;
        }
    };
}

/// Ends the test where a program is not installed, saying so.
#[macro_export]
macro_rules! needs_program {
    ($name:expr) => {
        if !$crate::has_program($name) {
            let thread = std::thread::current();
            eprintln!("SKIPPED {}: no {}", thread.name().unwrap_or("?"), $name);
            return;
        }
    };
}
