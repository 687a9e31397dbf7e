//! A table in text: figures to the right, names to the left, columns as wide as
//! they must be, none for what no row has.

use super::layout::{cut_end, width};

/// Between columns.
const GAP: usize = 2;
/// What is left of a name: a program and its process.
const NAME_LEAST: usize = 24;

/// Rows of cells; an empty cell says that there is nothing.
pub struct Table {
    /// First column: names.
    name: &'static str,
    /// The others: figures.
    headings: Vec<&'static str>,
    rows: Vec<(String, Vec<String>)>,
}

impl Table {
    /// Without rows yet.
    pub fn new(name: &'static str, headings: &[&'static str]) -> Self {
        Self {
            name,
            headings: headings.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row, with a cell for each heading.
    pub fn push(&mut self, name: String, cells: Vec<String>) {
        self.rows.push((name, cells));
    }

    /// The heading and the rows, none wider than `columns`. Names give way to figures as long as
    /// something is left of them; then the last figures are left out, which the heading shows.
    pub fn lines(&self, columns: usize) -> Vec<String> {
        let names = || std::iter::once(self.name).chain(self.rows.iter().map(|row| row.0.as_str()));
        let widest = names().map(width).max().unwrap_or_default();
        let mut left = columns.saturating_sub(widest.min(NAME_LEAST));
        let mut figures = vec![String::new(); self.rows.len() + 1];
        for cells in self.figures() {
            let room = cells.iter().map(|it| width(it)).max().unwrap_or_default() + GAP;
            let is_first = figures.iter().all(String::is_empty);
            if room > left && !is_first {
                if let Some(heading) = figures.first_mut() {
                    heading.push_str(" …");
                }
                break;
            }
            left = left.saturating_sub(room);
            for (line, cell) in figures.iter_mut().zip(cells) {
                let blanks = room.saturating_sub(width(cell));
                line.extend(std::iter::repeat_n(' ', blanks));
                line.push_str(cell);
            }
        }
        let beside = figures.iter().map(|it| width(it)).max().unwrap_or_default();
        let room = widest.min(columns.saturating_sub(beside).max(width(self.name)));
        let lines = names().zip(&figures).map(|(name, figures)| {
            let name = cut_end(name, room);
            let blanks = " ".repeat(room.saturating_sub(width(&name)));
            let line = format!("{name}{blanks}{figures}");
            cut_end(line.trim_end(), columns).into_owned()
        });
        lines.collect()
    }

    /// The columns of figures under their headings, those without any left out.
    fn figures(&self) -> impl Iterator<Item = Vec<&str>> {
        let columns = self.headings.iter().enumerate().map(|(number, heading)| {
            let cells = self.rows.iter().map(move |row| row.1.get(number));
            let cells = cells.map(|it| it.map_or("", String::as_str));
            std::iter::once(*heading).chain(cells).collect()
        });
        let has_any = |cells: &Vec<&str>| cells.iter().skip(1).any(|it| !it.is_empty());
        columns.filter(has_any)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Figures stand under their heading; what no row has takes no room.
    #[test]
    fn aligns() {
        let mut table = Table::new("who", &["bytes", "none", "in"]);
        table.push(
            "a".to_owned(),
            vec!["1.0 MiB".into(), String::new(), "3".into()],
        );
        table.push(
            "関数".to_owned(),
            vec!["5 B".into(), String::new(), String::new()],
        );
        assert_eq!(
            table.lines(80),
            ["who     bytes  in", "a     1.0 MiB   3", "関数      5 B"]
        );
        assert_eq!(
            table.lines(15),
            ["who     bytes …", "a     1.0 MiB", "関数      5 B"]
        );
    }

    /// A long name is cut before a figure is.
    #[test]
    fn names_give_way() {
        let mut table = Table::new("who", &["bytes"]);
        table.push("x".repeat(100), vec!["1.0 MiB".into()]);
        assert_eq!(table.lines(16), ["who        bytes", "xxxxxx…  1.0 MiB"]);
    }

    proptest! {
        /// No line is wider than asked for.
        #[test]
        fn fits(rows in vec(("\\PC{0,30}", vec("\\PC{0,9}", 0..4)), 0..5), columns in 0_usize..60) {
            let mut table = Table::new("who", &["a", "bb", "ccc"]);
            for (name, cells) in rows {
                table.push(name, cells);
            }
            for line in table.lines(columns) {
                prop_assert!(width(&line) <= columns);
            }
        }
    }
}
