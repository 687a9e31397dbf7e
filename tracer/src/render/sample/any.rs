//! Strategies that make any report a trace could end in, with names as hostile
//! as can be.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::{
    around, growth::any_growth, heap::any_heap, javascript::any_javascript, sockets::any_sockets,
};
use crate::analyze::verdict;
use crate::model::{
    Beginning, Budget, Counts, Exit, Extent, Followed, Frame, Level, Loss, LossCause, MappingKind,
    MappingSite, Mappings, Process, ProcessMappings, Report, Sampling, Site, Slices, Source,
};

/// Text with anything in it, and often with what breaks formats.
pub fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_]{1,12}",
        any::<String>(),
        "[;\\n\\t \\[\\]()<>&\"'#0-9\\x1b\u{2028}\u{202e}\u{ffff}]{0,12}",
    ]
}

pub fn any_frame() -> impl Strategy<Value = Frame> {
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
                stack_end: crate::model::StackEnd::Root,
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
    let known = (any_text(), 0.0..1e6, any::<u32>(), any::<(u64, u64)>());
    (known, of(any_slices())).prop_map(
        |((reason, since_seconds, one_in, (always_bytes, passed_over)), slices)| Sampling {
            reason,
            since_seconds,
            one_in,
            always_bytes,
            passed_over,
            slices,
        },
    )
}

prop_compose! {
    fn any_slices()(
        (seconds, frees_seconds) in (0.0..1e6, 0.0..1e6),
        (count, unresolved_blocks, unresolved_bytes) in any::<(u64, u64, u64)>(),
    ) -> Slices {
        Slices { count, seconds, frees_seconds, unresolved_blocks, unresolved_bytes }
    }
}

prop_compose! {
    fn any_budget()(
        percent in 0.01..100.0,
        spent_percent in 0.0..100.0,
        own_percent in 0.0..100.0,
    ) -> Budget {
        Budget { percent, spent_percent, own_percent }
    }
}

prop_compose! {
    /// Any report that keeps the invariants.
    pub fn any_report()(
        processes in vec(any_process(), 0..4),
        mut sites in vec(any_site(), 0..8),
        loss in vec(any_loss(), 0..4),
        (sampling, budget) in (of(any_sampling()), of(any_budget())),
        (footprint_bytes, unmatched_frees, start, end) in any::<(u64, u64, u64, u64)>(),
        length in 0.0..1e9,
        from_start in any::<bool>(),
        (tool_version, kernel) in (any_text(), any_text()),
        (not_covered, notes) in (vec(any_text(), 0..3), vec(any_text(), 0..3)),
        (mappings, heap, sockets) in (of(any_mappings()), of(any_heap(any_text())), of(any_sockets())),
        (growth, javascript) in (vec(any_growth(any_text()), 0..3), of(any_javascript())),
    ) -> Report {
        sites.sort_by_key(|site| std::cmp::Reverse(site.counts.live_bytes));
        let mut report = around(processes, sites, loss);
        report.level = if sampling.is_some() { Level::Sampled } else { Level::Exact };
        report.sampling = sampling;
        report.budget = budget;
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
        report.heap = heap;
        report.sockets = sockets;
        report.javascript = javascript;
        report.growth = growth;
        report.places = verdict::places(&report);
        report.verdicts = verdict::judge(&report);
        report
    }
}
