//! Programs of the kernel side are preempted in their midst: their scratch is
//! the thread's own. Only a kernel with `preempt=full` can show it, see
//! `scripts/test.sh`.

use tests::{Program, assert_exact, needs_tracing};
use tracer::model::Site;

use crate::exact::trace;

/// Set where the object under test takes stacks in per-CPU scratch: the test
/// must be able to fail.
const EXPECT: &str = "MEMTRACE_EXPECT_CORRUPTION";

/// As many as show about forty such stacks with per-CPU scratch on an emulated
/// 6.12, `preempt=full`.
const ROUNDS: &str = "60000";

/// No stack holds frames of another thread, and each thread's blocks are
/// counted where they were allocated.
#[test]
fn stacks_stay_whole() {
    needs_tracing!();
    let expected = std::env::var_os(EXPECT).is_some();
    let (report, truth) = trace(&mut Program::ready("preempted", &[ROUNDS]), &[]);
    let mixed: u64 = (report.sites.iter().filter(|site| is_mixed(site)))
        .map(|site| site.counts.allocated_blocks)
        .sum();
    if expected {
        println!(
            "{mixed} stacks are mixed of {}",
            truth.total().allocated_blocks
        );
        assert!(mixed > 0, "per-CPU scratch went unnoticed");
    } else {
        assert_eq!(mixed, 0);
        assert_exact(&report, &truth);
    }
}

/// Whether functions of more than one thread are in the stack.
fn is_mixed(site: &Site) -> bool {
    let names = site.frames.iter().filter_map(|it| it.function.as_deref());
    let mut threads: Vec<&str> = names
        .filter_map(|name| name.strip_prefix("walk_").or(name.strip_prefix("leaf_")))
        .collect();
    threads.dedup();
    threads.len() > 1
}
