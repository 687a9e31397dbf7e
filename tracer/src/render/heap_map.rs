//! The heap map: pages in address order, from full to empty. A healthy heap is
//! even; one that is mostly retained is empty; a fragmented one is Swiss cheese.

use std::fmt::Write as _;

use super::text::Page;
use super::{names, words};
use crate::model::heap::{Cell, Heap, Occupancy};

/// How full a cell is, as the picture tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fill {
    /// Not resident.
    Absent,
    /// Resident, and nothing known.
    Unknown,
    /// Resident with nothing in use.
    Empty,
    /// Up to a tenth in use.
    Tenth,
    /// Up to a half.
    Half,
    /// Up to nine tenths.
    Most,
    /// More.
    Full,
}

/// In the order of the legend: what a cell looks like in a terminal, its colour
/// there (of 256), its colour in the picture, and what it means.
const LOOKS: [(Fill, char, u8, &str, &str); 7] = [
    (Fill::Full, '█', 28, "#1a7f37", "in use"),
    (Fill::Most, '▓', 107, "#8cc265", "50–90%"),
    (Fill::Half, '▒', 214, "#f2b134", "10–50%"),
    (Fill::Tenth, '░', 208, "#ec7a2a", "below 10%"),
    (Fill::Empty, 'o', 196, "#d1242f", "all free, resident"),
    (Fill::Absent, '·', 250, "#e9ecef", "not resident"),
    (Fill::Unknown, '?', 244, "#8250df", "not known"),
];

impl Fill {
    fn of(cell: &Cell) -> Self {
        const PAGE: u64 = 4096;
        let resident = u64::from(cell.empty) + u64::from(cell.partly) + u64::from(cell.unknown);
        let bytes = (u64::from(cell.empty) + u64::from(cell.partly)) * PAGE;
        if resident == 0 || u64::from(cell.absent) > resident {
            return Self::Absent;
        }
        if u64::from(cell.unknown) * 2 > resident {
            return Self::Unknown;
        }
        match cell
            .used_bytes
            .saturating_mul(100)
            .checked_div(bytes)
            .unwrap_or(0)
        {
            _ if cell.partly == 0 => Self::Empty,
            0..10 => Self::Tenth,
            10..50 => Self::Half,
            50..90 => Self::Most,
            _ => Self::Full,
        }
    }

    fn look(self) -> (char, u8, &'static str) {
        let look = LOOKS.iter().find(|(fill, ..)| *fill == self);
        look.map_or((' ', 0, ""), |(_, character, ansi, colour, _)| {
            (*character, *ansi, *colour)
        })
    }
}

/// Lines of a terminal that the map takes at most.
const ROWS: usize = 16;

/// The map in characters, with its legend.
#[must_use]
pub fn terminal(heap: &Heap, page: Page) -> Vec<String> {
    let occupancy = &heap.walked.occupancy;
    let columns = page.columns.clamp(40, 128) - 2;
    let together = occupancy.cells.len().div_ceil(columns * ROWS).max(1);
    let each = occupancy
        .pages_per_cell
        .saturating_mul(together as u64)
        .saturating_mul(4096);
    let mut lines = vec![format!(
        "heap map, {} a cell, in address order",
        words::bytes(each)
    )];
    let fills: Vec<Fill> = occupancy
        .cells
        .chunks(together)
        .map(|some| Fill::of(&sum(some)))
        .collect();
    for row in fills.chunks(columns) {
        let mut line = String::from("  ");
        let mut ink = None;
        for fill in row {
            let (character, ansi, _) = fill.look();
            if page.colour && ink != Some(ansi) {
                let _infallible = write!(line, "\u{1b}[38;5;{ansi}m");
                ink = Some(ansi);
            }
            line.push(character);
        }
        if page.colour {
            line.push_str("\u{1b}[0m");
        }
        lines.push(line);
    }
    let legend: Vec<String> = (LOOKS.iter())
        .filter(|(fill, ..)| *fill != Fill::Unknown || fills.contains(&Fill::Unknown))
        .map(|(_, character, ansi, _, meaning)| match page.colour {
            true => format!("\u{1b}[38;5;{ansi}m{character}\u{1b}[0m {meaning}"),
            false => format!("{character} {meaning}"),
        })
        .collect();
    lines.push(format!("  {}", legend.join("  ")));
    lines
}

fn sum(cells: &[Cell]) -> Cell {
    let mut sum = Cell::default();
    for cell in cells {
        sum.absent = sum.absent.saturating_add(cell.absent);
        sum.unknown = sum.unknown.saturating_add(cell.unknown);
        sum.empty = sum.empty.saturating_add(cell.empty);
        sum.partly = sum.partly.saturating_add(cell.partly);
        sum.used_bytes = sum.used_bytes.saturating_add(cell.used_bytes);
    }
    sum
}

/// Cells beside each other in the picture, and their size.
const ACROSS: usize = 128;
const SIDE: usize = 8;
const LEFT: usize = 130;
const TOP: usize = 96;

/// The map as a picture, self-contained.
#[must_use]
pub fn svg(heap: &Heap) -> String {
    let occupancy = &heap.walked.occupancy;
    let rows = rows(occupancy);
    let (width, height) = (LEFT + ACROSS * SIDE + 20, TOP + rows.len() * SIDE + 20);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let split = &heap.split;
    let each = words::bytes(occupancy.pages_per_cell.saturating_mul(4096));
    let lines = [
        format!("Heap map of {}", names::process(&heap.process)),
        format!(
            "{} resident: {} live, {} free on whole pages (retention), {} free beside live blocks (fragmentation)",
            words::bytes(split.resident_bytes),
            words::bytes(split.live_bytes),
            words::bytes(split.retained_bytes),
            words::bytes(split.pinned_bytes)
        ),
        format!(
            "malloc_trim(0) would return {} (predicted). {each} a cell, in address order",
            words::bytes(heap.trimmable_bytes())
        ),
    ];
    for (index, line) in lines.iter().enumerate() {
        let weight = if index == 0 {
            " font-weight=\"bold\""
        } else {
            ""
        };
        let _infallible = writeln!(
            svg,
            "<text x=\"10\" y=\"{}\"{weight}>{}</text>",
            20 + index * 17,
            escape(line)
        );
    }
    let mut at = 10;
    for (_, _, _, colour, meaning) in LOOKS {
        let _infallible = writeln!(
            svg,
            "<rect x=\"{at}\" y=\"68\" width=\"10\" height=\"10\" fill=\"{colour}\"/><text x=\"{}\" y=\"77\">{meaning}</text>",
            at + 14
        );
        at += 30 + meaning.chars().count() * 7;
    }
    for (index, row) in rows.iter().enumerate() {
        if let Some(address) = row.address {
            let y = TOP + index * SIDE + SIDE;
            let _infallible = writeln!(
                svg,
                "<text x=\"{}\" y=\"{y}\" text-anchor=\"end\" font-family=\"monospace\" font-size=\"9\">{address:x}</text>",
                LEFT - 6
            );
        }
    }
    // One path a colour: the cells of a large heap in some kilobytes.
    for (fill, _, _, colour, _) in LOOKS {
        let mut path = String::new();
        for (index, row) in rows.iter().enumerate() {
            run_lengths(row.cells, fill, |start, length| {
                let (x, y) = (LEFT + start * SIDE, TOP + index * SIDE);
                let _infallible = write!(
                    path,
                    "M{x} {y}h{}v{}h-{}z",
                    length * SIDE,
                    SIDE - 1,
                    length * SIDE
                );
            });
        }
        if !path.is_empty() {
            let _infallible = writeln!(svg, "<path fill=\"{colour}\" d=\"{path}\"/>");
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// A row of the picture.
struct Row<'a> {
    /// At the beginning of a region.
    address: Option<u64>,
    cells: &'a [Cell],
}

/// Each region begins a row.
fn rows(occupancy: &Occupancy) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    let mut from = 0;
    for &(start, until) in &occupancy.regions {
        let until = usize::try_from(until).unwrap_or(usize::MAX);
        let cells = occupancy.cells.get(from..until).unwrap_or_default();
        for (index, cells) in cells.chunks(ACROSS).enumerate() {
            let address = (index == 0).then_some(start);
            rows.push(Row { address, cells });
        }
        from = until.max(from);
    }
    rows
}

fn run_lengths(cells: &[Cell], fill: Fill, mut tell: impl FnMut(usize, usize)) {
    let mut start = None;
    for (index, cell) in cells.iter().enumerate() {
        match (Fill::of(cell) == fill, start) {
            (true, None) => start = Some(index),
            (false, Some(from)) => {
                tell(from, index - from);
                start = None;
            }
            _ => {}
        }
    }
    if let Some(from) = start {
        tell(from, cells.len() - from);
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}
