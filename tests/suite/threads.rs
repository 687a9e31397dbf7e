//! Threads that free each other's blocks.

use tests::{Program, assert_exact, needs_tracing};

use crate::exact::trace;

/// Eight threads in one arena: addresses pass from thread to thread at once.
#[test]
fn one_arena() {
    needs_tracing!();
    let (report, truth) = trace(&mut Program::ready("threads", &["one"]), &[]);
    assert_exact(&report, &truth);
}

/// Eight threads with arenas of their own, which end within the trace: glibc
/// then frees again what it kept for them, and that is unmatched, not freed twice.
#[test]
fn arenas_of_their_own() {
    needs_tracing!();
    let (report, truth) = trace(&mut Program::ready("threads", &["each"]), &[]);
    assert_exact(&report, &truth);
}
