//! What is wrong, in a sentence or a few.

use maud::{Markup, html};

use super::shapes::{self, needs_attention};
use crate::model::host::{Happening, State, View};
use crate::render::words;

/// A look is due every few seconds; older than this it is said.
const STALE_MS: u64 = 60_000;
/// Kills this far back are news.
const NEWS_MS: u64 = 3_600_000;
/// Less than this share of memory being available is said.
const SHORT: f64 = 0.08;

/// A sentence, and whether it is bad.
pub struct Headline {
    pub tone: &'static str,
    pub text: String,
    /// How many programs need attention.
    pub number: usize,
}

pub fn headline(view: &View) -> Headline {
    let all = words::counted(view.lines.len() as u64, "program");
    if view.at_ms == 0 {
        return Headline {
            tone: "unknown",
            text: "memtrace has just begun: its first look at the host is due in a few seconds."
                .to_owned(),
            number: 0,
        };
    }
    let has = |state: fn(State) -> bool| {
        let those = view.lines.iter().filter(|it| needs_attention(it));
        those.filter(|it| state(it.state)).count() as u64
    };
    let judged = has(|it| it == State::Judged);
    let growing = has(|it| it != State::Judged);
    let number = judged + growing;
    let new = view
        .lines
        .iter()
        .filter(|it| it.state == State::New)
        .count();
    let text = match number {
        0 => {
            let new = match new {
                0 => String::new(),
                1 => " 1 is not watched for long enough to tell.".to_owned(),
                new => format!(" {new} are not watched for long enough to tell."),
            };
            format!("Nothing grows: {all} watched.{new}")
        }
        number => {
            let judged = (judged > 0).then(|| told(judged, "has a verdict", "have a verdict"));
            let growing = (growing > 0).then(|| told(growing, "grows", "grow"));
            let why: Vec<String> = judged.into_iter().chain(growing).collect();
            let need = if number == 1 { "needs" } else { "need" };
            let number = words::count(number);
            format!("{number} of {all} {need} attention: {}.", why.join(", "))
        }
    };
    Headline {
        tone: if number > 0 { "bad" } else { "good" },
        text,
        number: number as usize,
    }
}

fn told(number: u64, one: &str, several: &str) -> String {
    let verb = if number == 1 { one } else { several };
    format!("{} {verb}", words::count(number))
}

/// What makes the sentence less certain, or is worse than it.
pub fn warnings(view: &View, now_ms: u64) -> Markup {
    let host = &view.host;
    let is_short = host.total_bytes > 0
        && host.available.looks > 0
        && (host.available.last as f64) < host.total_bytes as f64 * SHORT;
    let is_news = |at_ms: u64| at_ms.saturating_add(NEWS_MS) > view.at_ms;
    let is_kill = |it: &Happening| matches!(it, Happening::OutOfMemory { .. });
    let kills = view.events.iter().filter(|it| is_news(it.at_ms));
    let kills = kills.filter(|it| is_kill(&it.what)).count() as u64;
    let age = now_ms.saturating_sub(view.at_ms);
    html! {
        @if view.at_ms > 0 && age > STALE_MS {
            p.warning { strong { "These figures are old: " } "the last look was " (shapes::ago(view.at_ms, now_ms)) "." }
        }
        @if kills > 0 {
            p.warning { strong { (told(kills, "process was", "processes were")) } " killed for want of memory within the last hour: see " a href="#events" { "what happened" } "." }
        }
        @if is_short {
            p.warning { strong { "Memory is short: " } (words::bytes(host.available.last)) " of " (words::bytes(host.total_bytes)) " are available." }
        }
    }
}
