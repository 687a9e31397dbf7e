//! What the processes mapped, beside what their allocators hand out.

use maud::{Markup, html};

use super::parts;
use crate::model::{MappingKind, MappingSite, ProcessMappings, Report};
use crate::render::words;

/// Processes that are told of, those with the most resident.
const PROCESSES: usize = 20;
/// Sites of each.
const SITES: usize = 20;

pub fn section(report: &Report) -> Markup {
    let Some(mappings) = &report.mappings else {
        return html! { section #mappings { h2 { "Mappings" } p { "Mapping calls were not watched (--no-mappings)." } } };
    };
    let mut processes: Vec<&ProcessMappings> = mappings.processes.iter().collect();
    processes.sort_by_key(|it| std::cmp::Reverse(it.total.resident_bytes));
    let rest = processes.len().saturating_sub(PROCESSES);
    let is_one = processes.len() == 1;
    html! {
        section #mappings aria-labelledby="mappings-heading" {
            h2 #mappings-heading { "Mappings" }
            @if processes.is_empty() { p { "The processes ended before the trace did: what they had mapped went with them." } }
            @for process in processes.iter().take(PROCESSES) {
                details.process open[is_one] {
                    summary {
                        span.name { (crate::render::names::process_of(report, process.process)) } " "
                        (parts::bytes(process.total.resident_bytes)) " resident"
                    }
                    (one(process))
                }
            }
            @if rest > 0 { p { "and " (words::count(rest as u64)) " more, with less resident: see report.json" } }
        }
    }
}

fn one(process: &ProcessMappings) -> Markup {
    let extents = [
        ("before the trace, or by the kernel", process.before),
        ("by its allocator", process.allocator),
        ("by nobody knows whom", process.unseen),
        ("all", process.total),
    ];
    let shown = process.sites.iter().take(SITES);
    let rest = process
        .sites
        .iter()
        .skip(SITES)
        .map(|it| it.extent.resident_bytes);
    let rest = rest.fold(0, u64::saturating_add);
    parts::scrolled(
        "Mappings",
        html! {
            table {
                thead { tr {
                    th.number scope="col" { "Resident" } th.number scope="col" { "Usable" } th.number scope="col" { "Reserved" }
                    th scope="col" { "Mapped" }
                } }
                tbody {
                    @for site in shown {
                        tr {
                            (extent(site.extent))
                            td.function { (parts::folded_stack(&site.frames)) span.place { (what(site)) } }
                        }
                    }
                    @if rest > 0 { tr { td.number { (parts::bytes(rest)) } td {} td {} td { "all other sites" } } }
                    @for (name, of) in extents {
                        tr { (extent(of)) th scope="row" { (name) } }
                    }
                }
            }
        },
    )
}

fn extent(extent: crate::model::Extent) -> Markup {
    html! {
        td.number { (parts::bytes(extent.resident_bytes)) }
        td.number { (parts::bytes(extent.usable_bytes)) }
        td.number { (parts::bytes(extent.reserved_bytes)) }
    }
}

fn what(site: &MappingSite) -> String {
    let kind = match site.kind {
        MappingKind::Anonymous => "anonymous memory",
        MappingKind::Shared => "shared memory",
        MappingKind::File => "files",
    };
    let pool = site
        .pool
        .as_ref()
        .map(|it| format!(", growth of a pool ({})", parts::name(it)));
    format!(
        "{} of {kind}{}",
        site.source.name(),
        pool.unwrap_or_default()
    )
}
