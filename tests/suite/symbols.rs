//! Names of what was stripped.

use std::path::PathBuf;
use std::process::Command;

use tests::{Build, Memtrace, build_with, needs_tracing, run_tool};

/// A file that goes when the test ends.
struct Installed(PathBuf);

impl Drop for Installed {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A stripped program whose debug file is installed, by its build id, has the
/// names, files and lines of its private functions.
#[test]
fn separate_debug_file() {
    needs_tracing!();
    let whole = build_with(&Build {
        name: "depths",
        variant: "-debug",
        flags: &["-O1", "-g", "-DROUNDS=20", "-Wl,--build-id"],
    });
    let directory = tempfile::tempdir().unwrap();
    let stripped = directory.path().join("stripped");
    let (from, to) = (whole.to_str().unwrap(), stripped.to_str().unwrap());
    let _ = run_tool("objcopy", &["--strip-all", from, to]);
    let notes = run_tool("readelf", &["-n", from]);
    let id = notes.split("Build ID: ").nth(1).unwrap();
    let (first, rest) = id.lines().next().unwrap().split_at(2);
    let place = PathBuf::from("/usr/lib/debug/.build-id").join(first);
    std::fs::create_dir_all(&place).unwrap();
    let debug = Installed(place.join(format!("{rest}.debug")));
    let packed = "--compress-debug-sections=zlib";
    let _ = run_tool(
        "objcopy",
        &["--only-keep-debug", packed, from, debug.0.to_str().unwrap()],
    );
    let memtrace = Memtrace::run(&[], &mut Command::new(&stripped)).when_ready();
    let report = memtrace.finish().report();
    let frames = report.sites.iter().flat_map(|site| &site.frames);
    let own: Vec<_> = frames.filter(|frame| frame.module == to).collect();
    let grows = own
        .iter()
        .filter(|frame| frame.function.as_deref() == Some("grow"));
    let lines: Vec<_> = grows
        .map(|frame| (frame.file.as_deref(), frame.line))
        .collect();
    assert!(!lines.is_empty());
    for (file, line) in lines {
        assert!(file.unwrap().ends_with("depths.c") && line.is_some());
    }
}
