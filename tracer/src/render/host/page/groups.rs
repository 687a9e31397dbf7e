//! Containers and other groups, by what the kernel accounts to them.

use maud::{Markup, html};

use super::shapes;
use crate::model::host::{GroupView, View};
use crate::render::{html::parts, names, words};

const ROWS: usize = 40;

pub fn section(view: &View) -> Markup {
    let rest = view.groups.len().saturating_sub(ROWS);
    html! {
        section #groups data-part aria-labelledby="groups-heading" {
            @if !view.groups.is_empty() {
                h2 #groups-heading { "Groups" }
                p.hint { "Control groups: services and containers, as the kernel accounts their memory, page cache included." }
                table.groups {
                    thead { tr {
                        th scope="col" { "Group" }
                        th.number scope="col" { "Memory" }
                        th.number.wide scope="col" { "Limit" }
                        th.number.wide scope="col" { "Sockets" }
                        th.number.wide scope="col" { "Killed" }
                    } }
                    tbody { @for group in view.groups.iter().take(ROWS) { (row(group)) } }
                }
                @if rest > 0 { p { "and " (words::counted(rest as u64, "other one")) ", smaller" } }
            }
        }
    }
}

fn row(group: &GroupView) -> Markup {
    let name = group.container.as_deref();
    let name = shapes::short(name.unwrap_or_else(|| names::basename(&group.group)));
    html! {
        tr {
            th scope="row" {
                (name)
                span.place { (parts::name(&group.group)) }
            }
            td.number {
                @match group.memory_bytes {
                    Some(bytes) => {
                        (parts::bytes(bytes))
                        @if let Some(limit) = group.limit_bytes {
                            span.place.narrow { "of " (parts::bytes(limit)) }
                            (shapes::bar(bytes, limit))
                        }
                    }
                    None => { "not known" }
                }
                @if group.oom_kills > 0 { span.place.narrow { (words::count(group.oom_kills)) " killed" } }
            }
            td.number.wide { @if let Some(limit) = group.limit_bytes { (parts::bytes(limit)) } @else { "none" } }
            td.number.wide { @if group.socket_bytes > 0 { (parts::bytes(group.socket_bytes)) } }
            td.number.wide { @if group.oom_kills > 0 { strong { (words::count(group.oom_kills)) } } }
        }
    }
}
