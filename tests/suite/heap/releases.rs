//! Heaps of other releases of glibc than the machine's.

use std::process::Command;

use tests::{build, needs_tracing, run_tool, target_dir};

use super::run_by;

/// The same as under the machine's own, under newer releases of glibc, as Debian has them: `cargo xtask libc`.
#[test]
fn exact_under_newer_releases() {
    needs_tracing!();
    let libraries = target_dir().parent().unwrap().join("libc");
    for release in ["trixie", "sid"] {
        let library = libraries.join(release).join("usr/lib/x86_64-linux-gnu");
        let loader = library.join("ld-linux-x86-64.so.2");
        if !loader.exists() {
            eprintln!("SKIPPED heap::exact_under_newer_releases: no {release} in target/libc");
            continue;
        }
        // The newest goes on, and is refused until its structures are known.
        let version = run_tool(&loader.to_string_lossy(), &["--version"]);
        if !["version 2.41", "version 2.42", "version 2.43"]
            .iter()
            .any(|known| version.contains(known))
        {
            eprintln!("SKIPPED heap::exact_under_newer_releases: {release} has {version}");
            continue;
        }
        let mut versions = Vec::new();
        for (shape, blocks) in [
            ("leak", 12_000),
            ("random", 12_000),
            ("runs", 12_000),
            ("aligned", 3000),
            ("cached", 2000),
            ("fast", 12_000),
            ("large", 300),
        ] {
            for threads in [1, 8] {
                let mut command = Command::new(&loader);
                command.arg("--library-path").arg(&library);
                command.arg(build("heap"));
                let heap = run_by(&mut command, shape, blocks, threads, &[]);
                versions.push(heap.walked.version);
            }
        }
        versions.dedup();
        println!("exact under glibc {versions:?} of {release}");
        assert_eq!(versions.len(), 1);
    }
}
