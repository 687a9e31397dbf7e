//! Where unwind tables stand in the kernel's maps: pure bookkeeping.

use std::ops::Range;

use tracer_common::unwind::code::{CHUNK_ROWS, Chunk, Page};

use crate::symbolize::unwind_table::UnwindTable;

/// A table cut into chunks.
pub struct Packed {
    /// The rows.
    pub chunks: Vec<Box<Chunk>>,
    /// For each page its chunk, first row and number of rows.
    pages: Vec<(usize, u16, u16)>,
}

/// How many chunks a table takes.
pub fn chunks_of(table: &UnwindTable) -> usize {
    let (mut chunks, mut used) = (0, CHUNK_ROWS);
    for count in table.pages.iter().map(|count| usize::from(*count)) {
        if used + count > CHUNK_ROWS {
            chunks += 1;
            used = 0;
        }
        used += count;
    }
    chunks
}

impl Packed {
    /// Packs whole pages; `renumber` gives a special rule its number in the
    /// kernel's map.
    pub fn new(table: &UnwindTable, renumber: impl Fn(u32) -> u32) -> Self {
        let mut chunks: Vec<Box<Chunk>> = Vec::new();
        let mut pages = Vec::with_capacity(table.pages.len());
        let mut used = CHUNK_ROWS;
        let mut rest = table.rows.as_slice();
        for &count in &table.pages {
            let rows;
            // The table was checked when it was read.
            (rows, rest) = rest.split_at(usize::from(count).min(rest.len()));
            if used + rows.len() > CHUNK_ROWS {
                chunks.push(Box::new([0; CHUNK_ROWS]));
                used = 0;
            }
            if let Some(chunk) = chunks.last_mut() {
                for (to, row) in chunk[used..].iter_mut().zip(rows) {
                    *to = renumber(*row);
                }
            }
            pages.push((chunks.len().saturating_sub(1), used as u16, count));
            used += rows.len();
        }
        Self { chunks, pages }
    }

    /// The pages, once the chunks have their numbers in the kernel's map.
    pub fn pages(&self, chunks: &[u32]) -> Vec<Page> {
        (self.pages.iter())
            .map(|&(chunk, first, count)| match chunks.get(chunk) {
                Some(chunk) if count > 0 => Page::new(*chunk, first, count),
                _ => Page::default(),
            })
            .collect()
    }
}

/// Numbers that are free, handed out in runs.
#[derive(Debug)]
pub struct Room {
    /// Apart from one another, in order.
    free: Vec<Range<u32>>,
}

impl Room {
    /// The numbers below `size`.
    pub fn new(size: u32) -> Self {
        Self {
            free: std::iter::once(0..size).collect(),
        }
    }

    /// Takes so many numbers in a row.
    pub fn take(&mut self, count: u32) -> Option<Range<u32>> {
        let index = (self.free.iter()).position(|range| range.len() >= count as usize)?;
        let free = &mut self.free[index];
        let taken = free.start..free.start + count;
        free.start = taken.end;
        if free.start == free.end {
            self.free.remove(index);
        }
        Some(taken)
    }

    /// Takes so many numbers, wherever they are.
    pub fn take_any(&mut self, count: usize) -> Option<Vec<u32>> {
        if self.left() < count {
            return None;
        }
        Some(
            (0..count)
                .filter_map(|_| Some(self.take(1)?.start))
                .collect(),
        )
    }

    /// Gives numbers back.
    pub fn give_back(&mut self, range: Range<u32>) {
        if range.start == range.end {
            return;
        }
        let index = self.free.partition_point(|free| free.start < range.start);
        self.free.insert(index, range);
        self.free = std::mem::take(&mut self.free).into_iter().fold(
            Vec::new(),
            |mut joined: Vec<Range<u32>>, range| {
                match joined.last_mut().filter(|last| last.end == range.start) {
                    Some(last) => last.end = range.end,
                    None => joined.push(range),
                }
                joined
            },
        );
    }

    /// How many are free.
    pub fn left(&self) -> usize {
        self.free.iter().map(Range::len).sum()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;
    use tracer_common::unwind::row::{Base, Rule, row};

    use super::*;

    proptest! {
        /// No number is ever held twice, and what was given back is whole again.
        #[test]
        fn room_is_handed_out_once(counts in proptest::collection::vec((1u32..20, any::<bool>()), 1..60)) {
            let mut room = Room::new(256);
            let mut held: Vec<Range<u32>> = Vec::new();
            for (count, gives) in counts {
                if gives && !held.is_empty() {
                    room.give_back(held.swap_remove(count as usize % held.len()));
                } else if let Some(range) = room.take(count) {
                    prop_assert!(held.iter().all(|it| it.end <= range.start || range.end <= it.start));
                    held.push(range);
                }
                let taken: usize = held.iter().map(Range::len).sum();
                prop_assert_eq!(room.left() + taken, 256);
            }
            held.into_iter().for_each(|range| room.give_back(range));
            prop_assert_eq!(room.take(256), Some(0..256));
        }

        /// In whatever chunks they come to stand, each page finds its own rows.
        #[test]
        fn pages_keep_their_rows(counts in proptest::collection::vec(0u16..6000, 1..12)) {
            let rule = |page: usize| Rule::new(Base::StackPointer, page as i64 * 8, None).unwrap();
            let rows = counts.iter().enumerate().flat_map(|(page, count)| {
                (0..*count).map(move |place| row(place, rule(page)))
            });
            let table = UnwindTable { pages: counts.clone(), rows: rows.collect(), ..UnwindTable::default() };
            let packed = Packed::new(&table, |row| row);
            prop_assert_eq!(chunks_of(&table), packed.chunks.len());
            let numbers: Vec<u32> = (0..packed.chunks.len() as u32).rev().collect();
            for (index, page) in packed.pages(&numbers).into_iter().enumerate() {
                if counts[index] == 0 {
                    prop_assert_eq!(page, Page::default());
                    continue;
                }
                let chunk = &packed.chunks[numbers.iter().position(|it| *it == page.chunk()).unwrap()];
                for offset in [0, 1, u64::from(counts[index]) - 1, 0xffff] {
                    prop_assert_eq!(page.rule(chunk, offset), rule(index));
                }
            }
        }
    }
}
