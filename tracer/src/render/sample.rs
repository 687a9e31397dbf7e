//! Reports for tests: one made by hand, one as large as node's, and strategies
//! that make any report a trace could end in, with names as hostile as can be.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use crate::model::{
    Beginning, Counts, Exit, Extent, Followed, Frame, Host, Level, Loss, LossCause, MappingKind,
    MappingSite, Mappings, Process, ProcessMappings, Report, SCHEMA, Sampling, Site, Source,
    Totals, Window,
};

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
    let sites = vec![
        site(
            1,
            Source::Malloc,
            Counts::new(200, 13_107_200, 72, 4_718_592),
            leaking,
        ),
        site(
            2,
            Source::Calloc,
            Counts::new(3, 3_145_728, 2, 2_097_152),
            vec![guess],
        ),
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

/// Text with anything in it, and often with what breaks formats.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_]{1,12}",
        any::<String>(),
        "[;\\n\\t \\[\\]()<>&\"'#0-9\\x1b\u{2028}\u{202e}\u{ffff}]{0,12}",
    ]
}

fn any_frame() -> impl Strategy<Value = Frame> {
    (
        of(any_text()),
        any_text(),
        of("[0-9a-f]{40}"),
        any::<u64>(),
        of(any_text()),
        of(any::<u32>()),
        any::<(bool, bool)>(),
    )
        .prop_map(
            |(function, module, build_id, offset, file, line, (inlined, approximate))| Frame {
                function,
                module,
                build_id,
                offset,
                file,
                line,
                inlined,
                approximate,
            },
        )
}

/// Counts that hold what the kernel can: freed is never more than allocated.
fn any_counts() -> impl Strategy<Value = Counts> {
    let most = prop_oneof![0_u64..10_000, 0_u64..1 << 60];
    (most.clone(), most, 0.0..=1.0, any::<bool>()).prop_map(|(blocks, bytes, freed, none_live)| {
        let part = |whole: u64| {
            if none_live {
                whole
            } else {
                (whole as f64 * freed) as u64
            }
        };
        Counts::new(
            blocks,
            bytes,
            part(blocks).min(blocks),
            part(bytes).min(bytes),
        )
    })
}

fn any_source() -> impl Strategy<Value = Source> {
    use Source::*;
    prop::sample::select(vec![
        Malloc,
        Calloc,
        Realloc,
        Reallocarray,
        Memalign,
        PosixMemalign,
        AlignedAlloc,
        Valloc,
        Pvalloc,
        Mallocx,
        Rallocx,
        Xallocx,
        New,
        Mmap,
        Mremap,
        Brk,
        Mprotect,
        Unknown,
    ])
}

fn any_site() -> impl Strategy<Value = Site> {
    (
        "[0-9a-f]{16}",
        0_u32..4,
        any_source(),
        any_counts(),
        0.0..1e7,
        vec(any_frame(), 0..6),
    )
        .prop_map(
            |(site_id, process, source, counts, oldest_seconds, frames)| Site {
                site_id,
                process,
                source,
                counts,
                oldest_seconds,
                pool: None,
                frames,
            },
        )
}

fn any_exit() -> impl Strategy<Value = Exit> {
    prop_oneof![
        any::<i32>().prop_map(Exit::Status),
        any::<i32>().prop_map(Exit::Signal),
        Just(Exit::Exec),
        Just(Exit::Unknown),
    ]
}

fn any_followed() -> impl Strategy<Value = Followed> {
    let since = prop_oneof![Just(Beginning::Fork), Just(Beginning::Exec)];
    (any::<u32>(), since, 0.0..1e12f64).prop_map(|(parent, since, gap_ms)| Followed {
        parent,
        since,
        gap_ms,
    })
}

fn any_process() -> impl Strategy<Value = Process> {
    (
        0_u32..4,
        any::<(u32, u32, u64)>(),
        any_text(),
        any_text(),
        any_text(),
        (of(any_followed()), of(any_exit())),
    )
        .prop_map(
            |(id, (pid, ns_pid, start_time), command, executable, allocator, (followed, exit))| {
                Process {
                    id,
                    pid,
                    ns_pid,
                    start_time,
                    command,
                    executable,
                    allocator,
                    followed,
                    exit,
                }
            },
        )
}

fn any_loss() -> impl Strategy<Value = Loss> {
    use LossCause::*;
    let causes = vec![
        LedgerFull,
        LedgerOutOfMemory,
        SiteTableFull,
        StackCollision,
        StackUnreadable,
        MissedReturn,
        UnseenFree,
        ThreadTableFull,
        ResultUnreadable,
        StackTruncated,
        MappingDropped,
        ProbeMissed,
        LedgerMismatch,
        Unknown,
    ];
    (prop::sample::select(causes), any::<u64>(), of(any::<u64>())).prop_map(
        |(cause, calls, bytes)| Loss {
            cause,
            calls,
            bytes,
        },
    )
}

prop_compose! {
    fn any_extent()((resident_bytes, usable_bytes, reserved_bytes) in any::<(u64, u64, u64)>()) -> Extent {
        Extent { resident_bytes, usable_bytes, reserved_bytes }
    }
}

fn any_mapping_site() -> impl Strategy<Value = MappingSite> {
    use MappingKind::{Anonymous, File, Shared};
    let kinds = prop::sample::select(vec![Anonymous, Shared, File]);
    (any_site(), kinds, any_extent()).prop_map(|(site, kind, extent)| MappingSite {
        site_id: site.site_id,
        source: site.source,
        kind,
        extent,
        pool: site.pool,
        frames: site.frames,
    })
}

prop_compose! {
    fn any_process_mappings()(
        process in any::<u32>(),
        (total, before, allocator, unseen) in (any_extent(), any_extent(), any_extent(), any_extent()),
        sites in vec(any_mapping_site(), 0..3),
    ) -> ProcessMappings {
        ProcessMappings { process, total, before, allocator, unseen, sites }
    }
}

prop_compose! {
    fn any_mappings()(
        bystander_ns in 0.0..1e6,
        events in any::<u64>(),
        processes in vec(any_process_mappings(), 0..3),
    ) -> Mappings {
        Mappings { bystander_ns, events, processes }
    }
}

fn any_sampling() -> impl Strategy<Value = Sampling> {
    (any_text(), 0.0..1e6, any::<u32>(), any::<(u64, u64)>()).prop_map(
        |(reason, since_seconds, one_in, (always_bytes, passed_over))| Sampling {
            reason,
            since_seconds,
            one_in,
            always_bytes,
            passed_over,
        },
    )
}

prop_compose! {
    /// Any report that keeps the invariants.
    pub fn any_report()(
        processes in vec(any_process(), 0..4),
        mut sites in vec(any_site(), 0..8),
        loss in vec(any_loss(), 0..4),
        sampling in of(any_sampling()),
        (footprint_bytes, unmatched_frees, start, end) in any::<(u64, u64, u64, u64)>(),
        length in 0.0..1e9,
        from_start in any::<bool>(),
        (tool_version, kernel) in (any_text(), any_text()),
        (not_covered, notes) in (vec(any_text(), 0..3), vec(any_text(), 0..3)),
        mappings in of(any_mappings()),
    ) -> Report {
        sites.sort_by_key(|site| std::cmp::Reverse(site.counts.live_bytes));
        let mut report = around(processes, sites, loss);
        report.level = if sampling.is_some() { Level::Sampled } else { Level::Exact };
        report.sampling = sampling;
        report.totals.footprint_bytes = footprint_bytes;
        report.unmatched_frees = unmatched_frees;
        report.window.start_monotonic_ns = start;
        report.window.end_monotonic_ns = end;
        report.window.seconds = length;
        report.window.from_start = from_start;
        report.tool_version = tool_version;
        report.host.kernel = kernel;
        report.not_covered = not_covered;
        report.notes = notes;
        report.mappings = mappings;
        report
    }
}
