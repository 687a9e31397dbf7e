//! The flame graphs, each a document of its own in a frame: inferno's pictures with zoom
//! and search, which show without scripts too.

use std::io;

use maud::{Markup, PreEscaped, html};

use super::policy::SHIM;
use crate::model::{Report, verdict::Kind};
use crate::render::{flamegraph, words};

/// A picture takes so much of the page at most: of a larger one the narrowest frames are
/// left out.
const BYTES_MAX: usize = 1 << 20;

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
        match (outcome, empty(&svg)) {
            (Err(error), _) => absent.push((picture.file, error.to_string())),
            (Ok(()), Some(why)) => absent.push((picture.file, why.to_owned())),
            (Ok(()), None) => {
                scripts.extend(script(&svg));
                drawn.push((picture, Thinned::of(&svg, BYTES_MAX)));
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
                    (frame(picture.title, &thinned.svg, is_open(number, picture)))
                }
            }
            @for (file, why) in &absent { p.absent { code { (file) } ": " (why) } }
        }
    };
    Graphs { section, scripts }
}

/// Why there is nothing to be seen, if so.
fn empty(svg: &str) -> Option<&str> {
    let (_, after) = svg.rsplit_once("<text id=\"empty\"")?;
    let (_, text) = after.split_once('>')?;
    text.split_once('<').map(|(text, _)| text)
}

const SCRIPT_BEGINS: &str = "<script type=\"text/ecmascript\"><![CDATA[";
const SCRIPT_ENDS: &str = "]]></script>";

/// The picture's own script, inferno's, without a word of the process's: it stands in two
/// sections of characters.
fn script(svg: &str) -> Option<String> {
    let (_, after) = svg.split_once(SCRIPT_BEGINS)?;
    let (script, _) = after.split_once(SCRIPT_ENDS)?;
    Some(script.replace("]]><![CDATA[", ""))
}

fn without_script(svg: &str) -> String {
    let around = svg.split_once(SCRIPT_BEGINS).and_then(|(before, after)| {
        let (_, after) = after.split_once(SCRIPT_ENDS)?;
        Some([before, after].concat())
    });
    let svg = around.unwrap_or_else(|| svg.to_owned());
    // `frame.js` calls it.
    svg.replacen(" onload=\"init(evt)\"", "", 1)
}

/// A document in the value of an attribute: in single quotes, of which pictures have
/// few. Within them only these two characters mean anything (HTML, 13.1.2.3).
///
/// The script comes before the picture as HTML's own, so that its hash is plainly that of
/// its text.
fn frame(title: &str, svg: &str, is_open: bool) -> Markup {
    let svg = svg
        .find("<svg")
        .and_then(|from| svg.get(from..))
        .unwrap_or_default();
    let height = number_in(svg, "height=\"")
        .unwrap_or(400.0)
        .clamp(100.0, 20_000.0);
    let script = script(svg).unwrap_or_default();
    let svg = without_script(svg);
    let loading = if is_open { "eager" } else { "lazy" };
    let document = format!(
        "<!DOCTYPE html><meta charset=utf-8><style>body{{margin:0;background:#f8f8f8}}\
         body>svg{{display:block;width:100%}}@media(scripting:none){{body>svg{{min-width:1200px}}}}\
         #search{{opacity:.8!important}}@media(max-width:700px){{#title,#subtitle{{display:none}}}}\
         </style><script>{SHIM}</script><script>{script}</script>{svg}"
    );
    let document = document.replace('&', "&amp;").replace('\'', "&#39;");
    PreEscaped(format!(
        "<iframe title=\"{title}\" height=\"{height:.0}\" loading=\"{loading}\" \
         sandbox=\"allow-scripts allow-modals\" srcdoc='{document}'></iframe>"
    ))
}

fn number_in(text: &str, before: &str) -> Option<f64> {
    let (_, after) = text.split_once(before)?;
    let end = after.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    after.get(..end)?.parse().ok()
}

/// A picture without its narrowest frames. What stands on a frame is no wider than it, so
/// that nothing hangs in the air.
struct Thinned {
    svg: String,
    left_out: usize,
    /// Per cent of the picture.
    narrower_than: f64,
}

const BEGIN: &str = "<g><title>";
const END: &str = "</g>";

impl Thinned {
    fn of(svg: &str, most: usize) -> Self {
        let whole = |svg: &str| Self {
            svg: svg.to_owned(),
            left_out: 0,
            narrower_than: 0.0,
        };
        if svg.len() <= most {
            return whole(svg);
        }
        let Some((before, rest)) = svg.find(BEGIN).map(|at| svg.split_at(at)) else {
            return whole(svg);
        };
        let Some((frames, after)) = rest.rfind(END).map(|at| rest.split_at(at + END.len())) else {
            return whole(svg);
        };
        let mut by_width: Vec<(f64, &str)> = (frames.split_inclusive(END))
            .map(|frame| (width(frame), frame))
            .collect();
        let frames = by_width.len();
        let mut kept: Vec<(f64, usize)> = (by_width.iter()).map(|it| (it.0, it.1.len())).collect();
        kept.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut room = most.saturating_sub(before.len() + after.len());
        let narrower_than = kept
            .iter()
            .find_map(|(width, bytes)| match room.checked_sub(*bytes) {
                Some(less) => {
                    room = less;
                    None
                }
                None => Some(*width),
            });
        // All of one width stay or go together.
        let narrower_than = narrower_than.unwrap_or(0.0);
        by_width.retain(|it| it.0 > narrower_than);
        let mut thinned = String::with_capacity(most);
        thinned.push_str(before);
        thinned.extend(by_width.iter().map(|it| it.1));
        thinned.push_str(after);
        Self {
            svg: thinned,
            left_out: frames - by_width.len(),
            narrower_than,
        }
    }

    fn text(&self, file: &str) -> Option<String> {
        (self.left_out > 0).then(|| format!(
            "{} of {:.2}% of the width and less are left out here, to keep the page small: {file} has them.",
            words::counted(self.left_out as u64, "frame"),
            self.narrower_than,
        ))
    }
}

/// Of a frame's rectangle, in per cent.
fn width(frame: &str) -> f64 {
    let rectangle = frame.find("<rect").and_then(|at| frame.get(at..));
    rectangle
        .and_then(|it| number_in(it, "width=\""))
        .unwrap_or(0.0)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use crate::render::sample;

    /// Of a picture that is too large the narrowest frames go, and all of them are counted.
    #[test]
    fn thins_from_the_narrowest() {
        let mut svg = Vec::new();
        flamegraph::write(&sample::node_sized(3000), &mut svg).unwrap();
        let svg = String::from_utf8(svg).unwrap();
        let most = svg.len() - 5_000;
        let frames = |svg: &str| svg.matches(BEGIN).count();
        let thinned = Thinned::of(&svg, most);
        assert!(thinned.svg.len() <= most);
        assert!(frames(&thinned.svg) > 10, "{}", frames(&thinned.svg));
        assert_eq!(frames(&thinned.svg) + thinned.left_out, frames(&svg));
        let widths = thinned.svg.split(BEGIN).skip(1).map(width);
        assert!(widths.clone().all(|it| it > thinned.narrower_than));
        assert!(thinned.svg.contains("<title>all (") && thinned.svg.ends_with("</svg>"));
        assert_eq!(Thinned::of(&svg, svg.len()).svg, svg);
    }
}
