//! How full pages are, in address order, in as many cells as a picture has.

use super::pages::Page;
use crate::model::heap::{Cell, Occupancy};

/// Cells of a picture at most.
pub const CELLS_MAX: usize = 8192;

/// Counts pages into cells.
pub struct Counter {
    occupancy: Occupancy,
    cell: Cell,
}

impl Counter {
    /// For so many pages.
    pub fn new(pages: u64) -> Self {
        let occupancy = Occupancy {
            pages_per_cell: pages.div_ceil(CELLS_MAX as u64).max(1).next_power_of_two(),
            ..Occupancy::default()
        };
        Self {
            occupancy,
            cell: Cell::default(),
        }
    }

    /// Counts a page.
    pub fn add(&mut self, page: Page) {
        let cell = &mut self.cell;
        match page {
            Page::Absent | Page::Swapped => cell.absent += 1,
            Page::Unknown => cell.unknown += 1,
            Page::Used(0) => cell.empty += 1,
            Page::Used(used) => {
                cell.partly += 1;
                cell.used_bytes += u64::from(used);
            }
        }
        let pages = cell.absent + cell.unknown + cell.empty + cell.partly;
        if u64::from(pages) >= self.occupancy.pages_per_cell {
            self.occupancy.cells.push(std::mem::take(&mut self.cell));
        }
    }

    /// Ends a region: the next one begins a cell.
    pub fn end_region(&mut self, start: u64) {
        if self.cell != Cell::default() {
            self.occupancy.cells.push(std::mem::take(&mut self.cell));
        }
        let cells = self.occupancy.cells.len() as u64;
        self.occupancy.regions.push((start, cells));
    }

    /// All cells.
    pub fn finish(self) -> Occupancy {
        self.occupancy
    }
}
