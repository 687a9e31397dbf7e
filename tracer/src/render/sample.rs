//! Reports for tests: one made by hand, one as large as node's; in `any`, every
//! report that a trace could end in.

mod any;
mod growth;
mod heap;
mod javascript;
mod sockets;

use crate::model::{
    Counts, Exit, Extent, Frame, Host, Level, Loss, LossCause, MappingKind, MappingSite, Mappings,
    Process, ProcessMappings, Report, SCHEMA, Sampling, Site, Source, StackEnd, Totals, Window,
};

pub use any::{any_report, any_text};
pub use javascript::with_javascript;
pub use sockets::{any_look, look};

/// What no page may hold: markup that is not its own, what moves a cursor or hides, an
/// address to fetch from, a frame with its rights.
pub fn assert_harmless(page: &str) {
    for wrong in [
        "<img",
        "<object",
        "<embed",
        "<link",
        "<base",
        " src=\"",
        "@import",
        "javascript:",
        "allow-same-origin",
    ] {
        assert!(!page.contains(wrong), "{wrong}");
    }
    let count = |what: &str| page.matches(what).count();
    assert_eq!(count("<script"), count("</script>"));
    assert_eq!(count("<iframe"), count("'></iframe>"));
    let control = |c: char| c.is_control() && c != '\n';
    assert!(!page.contains(control) && !page.contains(['\u{202e}', '\u{200b}']));
    assert!(page.ends_with("</html>"));
}

fn frame(function: &str, module: &str, offset: u64) -> Frame {
    Frame {
        function: Some(function.to_owned()).filter(|name| !name.is_empty()),
        module: module.to_owned(),
        offset,
        ..Frame::default()
    }
}

fn site(number: u64, source: Source, counts: Counts, frames: Vec<Frame>) -> Site {
    let oldest_seconds = if counts.live_blocks > 0 { 29.5 } else { 0.0 };
    Site {
        site_id: format!("{number:016x}"),
        process: 1,
        source,
        counts,
        oldest_seconds,
        stack_end: StackEnd::Root,
        pool: None,
        frames,
    }
}

fn process() -> Process {
    Process {
        id: 1,
        pid: 4242,
        ns_pid: 17,
        start_time: 1_234_567_890,
        command: "node".to_owned(),
        executable: "/usr/local/bin/node".to_owned(),
        allocator: "glibc 2.36".to_owned(),
        followed: None,
        exit: None,
    }
}

fn around(processes: Vec<Process>, sites: Vec<Site>, loss: Vec<Loss>) -> Report {
    let mut counts = Counts::default();
    for site in &sites {
        counts += site.counts;
    }
    let footprint_bytes = counts.live_bytes + counts.live_bytes / 16;
    Report {
        schema: SCHEMA,
        tool_version: "0.1.0".to_owned(),
        level: Level::Exact,
        sampling: None,
        budget: None,
        host: Host {
            kernel: "6.12.9".to_owned(),
            boot_id: "00000000-0000-4000-8000-000000000000".to_owned(),
            processor: "x86_64".to_owned(),
        },
        window: Window {
            start_utc: "2026-11-20T19:58:07Z".to_owned(),
            end_utc: "2026-11-20T19:58:37Z".to_owned(),
            start_monotonic_ns: 1_000_000_000,
            end_monotonic_ns: 31_000_000_000,
            seconds: 30.0,
            from_start: false,
        },
        processes,
        totals: Totals {
            counts,
            footprint_bytes,
        },
        unmatched_frees: 24,
        sites,
        mappings: None,
        heap: None,
        javascript: None,
        sockets: None,
        growth: Vec::new(),
        verdicts: Vec::new(),
        places: Vec::new(),
        loss,
        not_covered: Vec::new(),
        notes: Vec::new(),
    }
}

/// Three live sites and a dead one: each kind of frame, a lost stack, nothing lost.
pub fn small() -> Report {
    let mut leak = frame("leak_buffer", "/srv/addon.node", 0x11d0);
    leak.file = Some("src/addon.cc".to_owned());
    leak.line = Some(42);
    let mut inlined = frame("keep<[u8; 8]>", "/srv/addon.node", 0x11d0);
    inlined.inlined = true;
    let mut guess = frame("", "/usr/lib/libuv.so.1", 0x1f0);
    guess.approximate = true;
    let leaking = vec![
        leak,
        inlined,
        frame("JS:~onRequest /srv/app.js:7:1", "[jit]", 0x7f12_3456_7000),
        frame("v8::Run(int)", "/usr/local/bin/node", 0x00de_ad00),
        frame("main", "/usr/local/bin/node", 0x00be_ef00),
    ];
    let mut cut = site(
        2,
        Source::Calloc,
        Counts::new(3, 3_145_728, 2, 2_097_152),
        vec![guess],
    );
    cut.stack_end = StackEnd::NoTable;
    let sites = vec![
        site(
            1,
            Source::Malloc,
            Counts::new(200, 13_107_200, 72, 4_718_592),
            leaking,
        ),
        cut,
        site(3, Source::Realloc, Counts::new(1, 512, 0, 0), Vec::new()),
        site(
            4,
            Source::Malloc,
            Counts::new(9, 900, 9, 900),
            vec![frame("tidy", "/a", 1)],
        ),
    ];
    around(vec![process()], sites, Vec::new())
}

/// As [`small`], with everything that can go wrong: losses, notes, a sample, an end.
pub fn troubled() -> Report {
    let mut report = small();
    report.level = Level::Sampled;
    report.sampling = Some(Sampling {
        reason: "the target's threads spent more than 20% of their time in probes".to_owned(),
        since_seconds: 3.25,
        one_in: 8,
        always_bytes: 65_536,
        passed_over: 123_456,
        slices: None,
    });
    report.loss = vec![
        Loss {
            cause: LossCause::LedgerFull,
            calls: 1_200,
            bytes: Some(5_872_026),
        },
        Loss {
            cause: LossCause::MissedReturn,
            calls: 34,
            bytes: None,
        },
    ];
    report.not_covered = vec!["jemalloc, by its constants a part of /opt/app".to_owned()];
    report.notes = vec!["The process was killed after 30.0 s of the 60 s asked for.".to_owned()];
    report.processes[0].exit = Some(Exit::Signal(9));
    report.mappings = Some(mappings());
    report.heap = Some(heap::heap());
    report.sockets = Some(sockets::sockets());
    report
}

/// Mappings of every origin, most of the addresses only reserved.
fn mappings() -> Mappings {
    let extent = |resident_bytes, usable_bytes, reserved_bytes| Extent {
        resident_bytes,
        usable_bytes,
        reserved_bytes,
    };
    let grow = |kind, extent| MappingSite {
        site_id: "00000000000000ab".to_owned(),
        source: Source::Mprotect,
        kind,
        extent,
        pool: Some("V8 zone".to_owned()),
        frames: vec![
            frame(
                "v8::internal::Heap::Grow(int)",
                "/usr/local/bin/node",
                0x00aa_0000,
            ),
            frame("main", "/usr/local/bin/node", 0x00be_ef00),
        ],
    };
    let sites = vec![
        grow(MappingKind::Anonymous, extent(35 << 20, 35 << 20, 11 << 30)),
        grow(MappingKind::File, extent(832 << 10, 1 << 20, 0)),
    ];
    Mappings {
        bystander_ns: 151.5,
        events: 1391,
        processes: vec![ProcessMappings {
            process: 1,
            total: extent(86 << 20, 221 << 20, 11 << 30),
            before: extent(42 << 20, 80 << 20, 0),
            allocator: extent(4 << 20, 34 << 20, 0),
            unseen: extent(4096, 8192, 0),
            sites,
        }],
    }
}

/// A trace in which nothing was allocated.
pub fn empty() -> Report {
    around(vec![process()], Vec::new(), Vec::new())
}

/// A report of node's size: so many sites of thirty frames that fork like a real call tree.
pub fn node_sized(sites: u64) -> Report {
    let sites = (0..sites)
        .map(|number| {
            let frames = (0..30)
                .map(|depth| {
                    let branch = number / (1 << (depth / 2_u32).min(12));
                    let name =
                        format!("node::module_{depth}::Class<int>::method_{branch}(char const*)");
                    frame(
                        &name,
                        "/usr/local/bin/node",
                        (branch << 16) + u64::from(depth),
                    )
                })
                .collect();
            let live = (sites - number) * 100;
            site(
                number + 1,
                Source::Malloc,
                Counts::new(live + 7, live * 64 + 7, 7, 7),
                frames,
            )
        })
        .collect();
    around(vec![process()], sites, Vec::new())
}
