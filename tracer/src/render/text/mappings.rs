//! What was mapped, beside what the allocators hand out.

use crate::model::{Extent, MappingKind, MappingSite, ProcessMappings, Report};
use crate::render::layout::{Ink, ink, wrap};
use crate::render::{names, words};

use super::Page;

/// How many processes are told of, those with the most resident.
const PROCESSES: usize = 4;
/// How many sites of each.
const SITES: usize = 3;
/// Less is not worth a line.
const WORTH_BYTES: u64 = 256 << 10;
/// How many frames stand in a site's line.
const FRAMES: usize = 7;

/// Appends what is mapped to `lines`.
pub fn push(report: &Report, page: Page, lines: &mut Vec<String>) {
    let Some(mappings) = &report.mappings else {
        return;
    };
    let mut processes: Vec<&ProcessMappings> = mappings.processes.iter().collect();
    processes.sort_by_key(|process| std::cmp::Reverse(process.total.resident_bytes));
    lines.push(ink("Mapped at the end:", Ink::Bold, page.colour));
    for process in processes.iter().take(PROCESSES) {
        push_process(report, process, page, lines);
    }
    if let Some(others @ 1..) = processes.len().checked_sub(PROCESSES) {
        lines.push(format!("  and {others} more, with less resident"));
    }
    let gone = match report.processes.len().saturating_sub(processes.len()) {
        0 => None,
        1 => {
            Some("One process ended before the trace did and took its mappings with it.".to_owned())
        }
        ended => Some(format!(
            "{} processes ended before the trace did and took their mappings with them.",
            words::count(ended as u64)
        )),
    };
    if let Some(gone) = gone {
        lines.extend(wrap(&gone, "  ", page.columns));
    }
    let cost = format!(
        "Watching mapping calls cost each process of this host {:.0} ns a system call (--no-mappings).",
        mappings.bystander_ns
    );
    lines.extend(wrap(&cost, "  ", page.columns));
    lines.push(String::new());
}

fn push_process(report: &Report, process: &ProcessMappings, page: Page, lines: &mut Vec<String>) {
    let own = process
        .sites
        .iter()
        .fold(Extent::default(), |mut sum, site| {
            sum += site.extent;
            sum
        });
    let mut parts = vec![
        format!("{} before the trace", resident(process.before)),
        format!("{} by its allocator", resident(process.allocator)),
        format!("{} by its own calls", resident(own)),
    ];
    if process.unseen.resident_bytes > 0 {
        parts.push(format!("{} by nobody knows whom", resident(process.unseen)));
    }
    let mut text = format!("{} resident: {}", resident(process.total), parts.join(", "));
    if process.total.reserved_bytes > 0 {
        text = format!(
            "{text}; {} of addresses only reserved, which is no memory",
            words::bytes(process.total.reserved_bytes)
        );
    }
    if report.processes.len() > 1 {
        text = format!("{}: {text}", names::process_of(report, process.process));
    }
    lines.extend(wrap(&text, "  ", page.columns));
    for site in process.sites.iter().take(SITES) {
        push_site(site, page, lines);
    }
}

fn push_site(site: &MappingSite, page: Page, lines: &mut Vec<String>) {
    let extent = site.extent;
    if extent.resident_bytes < WORTH_BYTES && extent.reserved_bytes < WORTH_BYTES << 10 {
        return;
    }
    let what = match site.kind {
        MappingKind::Anonymous => "",
        MappingKind::Shared => " of shared memory",
        MappingKind::File => " of files",
    };
    let reserved = match extent.reserved_bytes {
        0 => String::new(),
        bytes => format!(" ({} reserved)", words::bytes(bytes)),
    };
    let beginning = format!("    {:>10}  ", resident(extent));
    let pool = match &site.pool {
        Some(pool) => format!(" as growth of a pool ({})", names::sanitize(pool)),
        None => String::new(),
    };
    let text = format!(
        "{}{what}{reserved}{pool} by {}",
        site.source.name(),
        names::callers(&site.frames, FRAMES)
    );
    lines.extend(wrap(&text, &beginning, page.columns));
}

fn resident(extent: Extent) -> String {
    words::bytes(extent.resident_bytes)
}
