//! What is around every page.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::Page;
use crate::render::{html as report_page, names};

const STYLE: &str = include_str!("host.css");
const SCRIPT: &str = include_str!("host.js");

/// A page in the making.
pub struct Document<'a> {
    title: String,
    heading: &'a str,
    main: Markup,
    facts: Vec<String>,
    /// The view that it is made from, if what is new meanwhile is put in.
    live: Option<u64>,
    /// Scripts of its frames.
    frames: Vec<String>,
}

impl<'a> Document<'a> {
    pub fn new(heading: &'a str, main: Markup) -> Self {
        Self {
            title: heading.to_owned(),
            heading,
            main,
            facts: Vec::new(),
            live: None,
            frames: Vec::new(),
        }
    }

    /// What stands in the browser's list of windows.
    pub fn titled(mut self, title: String) -> Self {
        self.title = title;
        self
    }

    pub fn facts(mut self, facts: Vec<String>) -> Self {
        self.facts = facts;
        self
    }

    /// To be renewed with each view after that of this time.
    pub const fn live(mut self, at_ms: Option<u64>) -> Self {
        self.live = at_ms;
        self
    }

    pub fn frames(mut self, scripts: Vec<String>) -> Self {
        self.frames = scripts;
        self
    }

    pub fn into_page(self) -> Page {
        let frames: Vec<&str> = self.frames.iter().map(String::as_str).collect();
        let policy = report_page::policy::of_server(&[report_page::SCRIPT, SCRIPT], &frames);
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (names::sanitize(&self.title)) }
                    @if self.live.is_some() { noscript { meta http-equiv="refresh" content="30"; } }
                    style { (PreEscaped(report_page::STYLE)) }
                    style { (PreEscaped(STYLE)) }
                }
                body data-live=[self.live] {
                    header {
                        h1 { a.tool href="/" { "memtrace" } " " (names::sanitize(self.heading)) }
                        p.facts #facts data-part {
                            @for fact in &self.facts { span { (fact) } " " }
                        }
                        p #contact role="status" { }
                    }
                    main { (self.main) }
                    footer {
                        p {
                            "The same figures as JSON: " a href="/api/view" { "/api/view" } ". "
                            span.keys hidden { "Keys: " kbd { "/" } " filter, " kbd { "↑" } " " kbd { "↓" } " rows, " kbd { "Esc" } " back" }
                        }
                    }
                    script { (PreEscaped(report_page::SCRIPT)) }
                    script { (PreEscaped(SCRIPT)) }
                }
            }
        };
        Page {
            html: page.into_string(),
            policy,
        }
    }
}
