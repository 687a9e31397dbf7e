//! Who holds what was allocated within the window: the largest sites.

use std::collections::HashMap;

use maud::{Markup, html};

use super::parts;
use crate::model::{
    Report, Site,
    growth::{AGES, SiteGrowth},
};
use crate::render::words;

/// Sites with a row; all are in report.json.
const SITES: usize = 100;
/// So many have one however small they are; others with a thousandth of all that is live.
const FEW: usize = 10;

pub fn section(report: &Report) -> Markup {
    let live = || {
        report
            .sites
            .iter()
            .filter(|site| site.counts.live_bytes > 0)
    };
    let is_worth = |site: &Site| {
        site.counts.live_bytes.saturating_mul(1000) >= report.totals.counts.live_bytes
    };
    let shown: Vec<&Site> = (live().enumerate())
        .take_while(|(number, site)| *number < FEW || is_worth(site))
        .map(|(_, site)| site)
        .take(SITES)
        .collect();
    let all = live().count();
    let rest = live()
        .skip(shown.len())
        .map(|it| it.counts.live_bytes)
        .fold(0, u64::saturating_add);
    let growth: HashMap<(u32, &str), &SiteGrowth> = (report.growth.iter())
        .flat_map(|it| {
            it.sites
                .iter()
                .map(|site| ((it.process, site.site_id.as_str()), site))
        })
        .collect();
    let counts = &report.totals.counts;
    html! {
        section #sites aria-labelledby="sites-heading" {
            h2 #sites-heading { "Allocations" }
            dl.figures {
                div { dt { "Live" } dd { (parts::bytes(counts.live_bytes)) " in " (parts::count(counts.live_blocks)) " blocks; " (parts::bytes(report.totals.footprint_bytes)) " with rounding" } }
                div { dt { "Allocated" } dd { (parts::bytes(counts.allocated_bytes)) " in " (parts::count(counts.allocated_blocks)) " blocks" } }
                div { dt { "Freed" } dd { (parts::bytes(counts.freed_bytes)) " in " (parts::count(counts.freed_blocks)) " blocks" } }
            }
            @if shown.is_empty() {
                p { "Nothing allocated within the window was live at its end." }
            } @else {
                p.hint {
                    @if all > shown.len() { "The " (shown.len()) " largest of " (words::count(all as u64)) " sites; the others hold " (parts::bytes(rest)) ". " }
                    "A site is one stack; “survivors” are its live bytes by when they were allocated, the oldest on the left."
                }
                div.tools hidden { label { "Filter " input type="search" data-filter="sites-table"; } " " button type="button" data-expand="sites-table" { "Expand all" } }
                (parts::scrolled("Sites", html! {
                    table #sites-table {
                        thead { tr {
                            th.number scope="col" { "Live" } th.number scope="col" { "Share" }
                            th scope="col" { "Function" }
                            th.number scope="col" { "Blocks" } th.number scope="col" { "Growth" }
                            th scope="col" { "Survivors" } th scope="col" { "By" }
                        } }
                        tbody {
                            @for site in &shown { (row(report, site, growth.get(&(site.process, site.site_id.as_str())).copied())) }
                        }
                    }
                }))
            }
        }
    }
}

fn row(report: &Report, site: &Site, growth: Option<&SiteGrowth>) -> Markup {
    let counts = &site.counts;
    html! {
        tr {
            td.number { (parts::bytes(counts.live_bytes)) }
            td.number { (words::share(counts.live_bytes, report.totals.counts.live_bytes)) }
            td.function {
                (parts::folded_stack(&site.frames))
                @if let Some(whose) = parts::whose(report, site.process) { span.place { "in " (whose) } }
                @if let Some(pool) = &site.pool { span.place { "growth of a pool (" (parts::name(pool)) ")" } }
                @if !site.stack_end.is_root() { span.place { "the stack ends early: " (site.stack_end.describe()) } }
            }
            td.number { (parts::count(counts.live_blocks)) }
            td.number { @if let Some(growth) = growth { (words::growth_per_second(growth.bytes_per_second)) } }
            td { @if let Some(growth) = growth { (survivors(&growth.survivors)) } }
            td.by { code { (site.source.name()) } }
        }
    }
}

/// Bars, one for each eighth of the window.
fn survivors(ages: &[u64; AGES]) -> Markup {
    let most = ages.iter().copied().max().unwrap_or(0).max(1);
    let text: Vec<String> = ages.iter().map(|it| words::bytes(*it)).collect();
    let text = format!("by age, oldest first: {}", text.join(", "));
    html! {
        svg.bars viewBox="0 0 48 16" role="img" aria-label=(text) {
            title { (text) }
            @for (number, bytes) in ages.iter().enumerate() {
                @let height = (*bytes as f64 / most as f64 * 15.0).max(0.5);
                rect x=(number * 6) width="5" y=(format!("{:.1}", 16.0 - height)) height=(format!("{height:.1}")) {}
            }
        }
    }
}
