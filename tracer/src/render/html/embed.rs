//! A flame graph within a page: a document of its own in a sandboxed frame, no larger than
//! a page bears.

use maud::{Markup, PreEscaped};

use super::policy::SHIM;
use crate::render::words;

/// A picture takes so much of the page at most: of a larger one the narrowest frames are
/// left out.
const BYTES_MAX: usize = 1 << 20;

/// Why there is nothing to be seen, if so.
pub fn empty(svg: &str) -> Option<&str> {
    let (_, after) = svg.rsplit_once("<text id=\"empty\"")?;
    let (_, text) = after.split_once('>')?;
    text.split_once('<').map(|(text, _)| text)
}

const SCRIPT_BEGINS: &str = "<script type=\"text/ecmascript\"><![CDATA[";
const SCRIPT_ENDS: &str = "]]></script>";

/// The picture's own script, inferno's, without a word of the process's: it stands in two
/// sections of characters.
pub fn script(svg: &str) -> Option<String> {
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
pub fn frame(title: &str, svg: &str, is_open: bool) -> Markup {
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
pub struct Thinned {
    pub svg: String,
    left_out: usize,
    /// Per cent of the picture.
    narrower_than: f64,
}

const BEGIN: &str = "<g><title>";
const END: &str = "</g>";

impl Thinned {
    /// Of a picture that may be too large for a page.
    pub fn of(svg: &str) -> Self {
        Self::to(svg, BYTES_MAX)
    }

    fn to(svg: &str, most: usize) -> Self {
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

    /// What was left out, if anything.
    pub fn text(&self, file: &str) -> Option<String> {
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
    use crate::render::{flamegraph, sample};

    /// Of a picture that is too large the narrowest frames go, and all of them are counted.
    #[test]
    fn thins_from_the_narrowest() {
        let mut svg = Vec::new();
        flamegraph::write(&sample::node_sized(3000), &mut svg).unwrap();
        let svg = String::from_utf8(svg).unwrap();
        let most = svg.len() - 5_000;
        let frames = |svg: &str| svg.matches(BEGIN).count();
        let thinned = Thinned::to(&svg, most);
        assert!(thinned.svg.len() <= most);
        assert!(frames(&thinned.svg) > 10, "{}", frames(&thinned.svg));
        assert_eq!(frames(&thinned.svg) + thinned.left_out, frames(&svg));
        let widths = thinned.svg.split(BEGIN).skip(1).map(width);
        assert!(widths.clone().all(|it| it > thinned.narrower_than));
        assert!(thinned.svg.contains("<title>all (") && thinned.svg.ends_with("</svg>"));
        assert_eq!(Thinned::to(&svg, svg.len()).svg, svg);
    }
}
