//! `leak.svg`: what outlives the window and keeps growing.

use std::io::{self, Write};

use super::{Picture, SUBTITLE_COLUMNS, draw, subtitle, title_of};
use crate::{
    analyze::leak_weight::{Origin, Weights, weigh},
    model::Report,
    render::{folded, layout::width, palette, words},
};

const ORIGINS: [(Origin, &str); 4] = [
    (Origin::Malloc, "malloc"),
    (Origin::Mapped, "mapped"),
    (Origin::JsHeap, "JS heap"),
    (Origin::Sockets, "sockets"),
];

/// Writes the picture of what outlives the window, as wide as it grew steadily; colours
/// tell the source.
///
/// # Errors
/// As [`super::write`].
pub fn write_leak(report: &Report, to: impl Write) -> io::Result<()> {
    let weights = weigh(report);
    let stacks = folded::leak_stacks(report, &weights);
    let colours = palette::by_origin(stacks.iter().map(|it| (it.0.as_str(), it.2)));
    let picture = Picture {
        title: title(report, &weights),
        subtitle: fitting(report, &weights),
        empty: if report.growth.is_empty() {
            "The recording does not tell how its sites grew."
        } else {
            "Nothing grew steadily through the window."
        },
    };
    let stacks = stacks.into_iter().map(|(stack, bytes, _)| (stack, bytes));
    draw(stacks.collect(), picture, colours, to)
}

fn title(report: &Report, weights: &Weights<'_>) -> String {
    let figure = |(origin, name): &(Origin, &str)| {
        let bytes = weights.total(Some(*origin));
        (bytes > 0).then(|| format!("{} {name}", words::bytes(bytes)))
    };
    let figures: Vec<String> = ORIGINS.iter().filter_map(figure).collect();
    let figures = if figures.is_empty() {
        words::bytes(0)
    } else {
        figures.join(", ")
    };
    title_of("steady growth in", report, &figures)
}

/// The subtitle that says most and fits.
fn fitting(report: &Report, weights: &Weights<'_>) -> String {
    let legend = legend(weights);
    let what = "width: what outlives, by how steadily it grew";
    let rest = format!(
        "left out: {} not growing steadily",
        words::bytes(weights.left_out_bytes)
    );
    let candidates = [
        vec![what, rest.as_str(), legend.as_str()],
        vec![rest.as_str(), legend.as_str()],
        vec![legend.as_str()],
        vec![],
    ];
    let frames = || weights.sites.iter().filter_map(|it| it.frames).flatten();
    let mut fitting = String::new();
    for parts in candidates {
        let parts: Vec<&str> = parts.into_iter().filter(|it| !it.is_empty()).collect();
        let found = match parts.join(" · ") {
            found if found.is_empty() => "grew steadily".to_owned(),
            found => found,
        };
        fitting = subtitle(report, &found, frames());
        if width(&fitting) <= SUBTITLE_COLUMNS {
            break;
        }
    }
    fitting
}

/// The colours that are there.
fn legend(weights: &Weights<'_>) -> String {
    let has = |origin| weights.sites.iter().any(|it| it.origin == origin);
    let name = |origin, name| format!("{}: {name}", palette::colour_name(origin));
    let present = ORIGINS.iter().filter(|(origin, _)| has(*origin));
    let mut names: Vec<String> = present.map(|it| name(Some(it.0), it.1)).collect();
    if names.len() > 1 {
        names.push(name(None, "several"));
    }
    names.join(", ")
}
