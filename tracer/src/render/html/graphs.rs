//! The flame graphs, each a document of its own in a frame: inferno's pictures with zoom
//! and search, which show without scripts too.

use std::io;

use maud::{Markup, html};

use super::embed::{self, Thinned};
use crate::model::{Report, verdict::Kind};
use crate::render::flamegraph;

/// No file beside the page, but what makes it.
const JAVASCRIPT: &str = "memtrace report --format svg --which javascript";

struct Picture {
    file: &'static str,
    title: &'static str,
    draw: fn(&Report, &mut Vec<u8>) -> io::Result<()>,
}

/// One line for each; the first is open unless the verdict asks for another.
const PICTURES: [Picture; 6] = [
    Picture {
        file: "live.svg",
        title: "Live bytes: allocated within the window and not freed",
        draw: |report, to| flamegraph::write(report, to),
    },
    Picture {
        file: "leak.svg",
        title: "What outlives the window: steady growth",
        draw: |report, to| flamegraph::write_leak(report, to),
    },
    Picture {
        file: "fragmentation.svg",
        title: "Free but resident: who pins it, who freed it",
        draw: |report, to| flamegraph::write_fragmentation(report, to),
    },
    Picture {
        file: "mappings.svg",
        title: "Mapped and resident, beside the allocator",
        draw: |report, to| flamegraph::write_mappings(report, to),
    },
    Picture {
        file: JAVASCRIPT,
        title: "Who allocated in the JS heap, sampled",
        draw: |report, to| flamegraph::write_javascript(report, to),
    },
    Picture {
        file: "sockets.svg",
        title: "In the queues of sockets",
        draw: |report, to| flamegraph::write_sockets(report, to),
    },
];

/// Which picture shows what a verdict is about.
const fn shows(kind: Kind) -> &'static str {
    match kind {
        Kind::Retention | Kind::Fragmentation => "fragmentation.svg",
        Kind::JsHeap => JAVASCRIPT,
        Kind::Mapping => "mappings.svg",
        Kind::SendBuffer | Kind::ReceiveBuffer | Kind::Orphan | Kind::AcceptQueue => "sockets.svg",
        Kind::Leak | Kind::Backlog => "leak.svg",
        Kind::Healthy | Kind::NotEnoughData => "live.svg",
    }
}

/// The section, and the scripts of its frames, which the page's policy must allow.
pub struct Graphs {
    pub section: Markup,
    pub scripts: Vec<String>,
}

pub fn graphs(report: &Report) -> Graphs {
    let first = report
        .verdicts
        .first()
        .map_or("live.svg", |it| shows(it.kind));
    let mut drawn = Vec::new();
    let mut absent = Vec::new();
    let mut scripts = Vec::new();
    let is_wanted = |it: &Picture| it.file != JAVASCRIPT || report.javascript.is_some();
    for picture in PICTURES.into_iter().filter(is_wanted) {
        let mut svg = Vec::new();
        let outcome = (picture.draw)(report, &mut svg);
        let svg = String::from_utf8_lossy(&svg);
        match (outcome, embed::empty(&svg)) {
            (Err(error), _) => absent.push((picture.file, error.to_string())),
            (Ok(()), Some(why)) => absent.push((picture.file, why.to_owned())),
            (Ok(()), None) => {
                scripts.extend(embed::script(&svg));
                drawn.push((picture, Thinned::of(&svg)));
            }
        }
    }
    let has_first = drawn.iter().any(|(picture, _)| picture.file == first);
    let is_open = |number: usize, picture: &Picture| match has_first {
        true => picture.file == first,
        false => number == 0,
    };
    let section = html! {
        section #graphs aria-labelledby="graphs-heading" {
            h2 #graphs-heading { "Flame graphs" }
            p.hint { "Width is bytes. Click a frame to zoom in, “Search” or Ctrl-F within the picture to find a function; the files beside this page have the same pictures whole." }
            @for (number, (picture, thinned)) in drawn.iter().enumerate() {
                details.graph name="graph" open[is_open(number, picture)] {
                    summary { (picture.title) " " span.place { (picture.file) } }
                    @if let Some(text) = thinned.text(picture.file) { p.hint { (text) } }
                    (embed::frame(picture.title, &thinned.svg, is_open(number, picture)))
                }
            }
            @for (file, why) in &absent { p.absent { code { (file) } ": " (why) } }
        }
    };
    Graphs { section, scripts }
}
