//! Programs that nobody here wrote: memtrace's counts are those of a library
//! that counts from within, by function, to the block and byte.

use tests::{has_program, needs_tracing};

use crate::counted::Counted;

/// Ends the test where a program is not installed, saying so.
macro_rules! needs_program {
    ($program:expr) => {
        if !has_program($program) {
            let thread = std::thread::current();
            let name = thread.name().unwrap_or("?");
            eprintln!("SKIPPED {name}: {} is not installed", $program);
            return;
        }
    };
}

const PYTHON: &str = "
kept = {str(i): [i] * 20 for i in range(3000)}
big = [bytes(300_000) for _ in range(20)]
grown = bytearray()
for i in range(2000):
    grown += bytes(1000)
for i in range(0, 3000, 2):
    del kept[str(i)]
";

/// python3 as it is: small objects in pools of its own, the rest from malloc.
#[test]
fn python() {
    needs_tracing!();
    let both = Counted::start(&[], &["/usr/bin/python3", "-c", PYTHON]).finish();
    both.assert_equal(1_000);
    assert_eq!(both.report.unmatched_frees, both.unmatched_frees);
}

/// python3 with each of its objects from malloc.
#[test]
fn python_without_pools() {
    needs_tracing!();
    let python = ["/usr/bin/python3", "-c", PYTHON];
    let both = Counted::start(&["PYTHONMALLOC=malloc"], &python).finish();
    both.assert_equal(50_000);
    assert_eq!(both.report.unmatched_frees, both.unmatched_frees);
}

/// sqlite3 with a table in memory, an index, deletions.
#[test]
fn sqlite() {
    needs_tracing!();
    needs_program!("sqlite3");
    let statements = "
        CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, body BLOB);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
            INSERT INTO t SELECT i, 'name ' || i, zeroblob(i % 500) FROM n;
        CREATE INDEX by_name ON t (name);
        DELETE FROM t WHERE id % 3 = 0;
        SELECT group_concat(name) FROM (SELECT name FROM t ORDER BY body LIMIT 1000);";
    let both = Counted::start(&[], &["sqlite3", ":memory:", statements]).finish();
    both.assert_equal(10_000);
    assert_eq!(both.report.unmatched_frees, both.unmatched_frees);
}
