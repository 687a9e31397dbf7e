//! Unwind tables: from the files that targets map into the kernel's maps, as
//! many as fit.

mod builders;
mod eviction;
mod layout;

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
    time::{Duration, Instant},
};

use tracer_common::{
    javascript::Runtime,
    unwind::{
        code::{CodeMapping, MAPPINGS_MAX, SpaceCode},
        row::{PAGE_SHIFT, Rule, SPECIALS_MAX, Special, row},
    },
};

use self::{
    builders::{Builders, Built},
    layout::{Packed, Room},
};
use super::{
    javascript::V8,
    mappings::{Backing, Mapping, Mappings},
};
use crate::{
    probe::{Kernel, ProbeError, UnwindLimits},
    symbolize::{elf, unwind_table::UnwindTable},
};

/// The vdso is no file.
const VDSO: (u64, u64) = (0, 0);

/// A file's table.
struct Entry {
    /// Its path, for messages.
    path: String,
    /// Its number in the kernel's maps.
    number: u32,
    state: State,
}

enum State {
    /// Asked for.
    Building,
    /// In the kernel's maps.
    Placed(Placed),
    /// There was no room, or it was sent away for another.
    Away(UnwindTable),
    /// There is none.
    None,
}

struct Placed {
    table: UnwindTable,
    pages: Range<u32>,
    chunks: Vec<u32>,
}

/// What is free again once no program can read it any more.
struct Cooling {
    since: Instant,
    pages: Range<u32>,
    chunks: Vec<u32>,
}

/// All tables of a trace.
pub struct Tables {
    builders: Builders,
    files: HashMap<(u64, u64), Entry>,
    specials: HashMap<Special, u16>,
    /// How many chunks there are.
    capacity: usize,
    chunks: Room,
    pages: Room,
    numbers: Room,
    cooling: Vec<Cooling>,
    /// When programs were last made to tell which tables they use.
    asked_who_is_used: u32,
    /// Counts what changes for address spaces: their code must be set again.
    pub changes: u64,
    /// What the reader must know.
    pub notes: BTreeSet<String>,
}

impl Tables {
    /// No tables yet, and room for so many.
    pub fn new(limits: &UnwindLimits) -> Self {
        Self {
            builders: Builders::default(),
            files: HashMap::new(),
            specials: HashMap::from([(Special::default(), 0)]),
            capacity: limits.chunks as usize,
            chunks: Room::new(limits.chunks),
            pages: Room::new(limits.pages),
            numbers: Room::new(limits.tables),
            cooling: Vec::new(),
            asked_who_is_used: 0,
            changes: 0,
            notes: BTreeSet::new(),
        }
    }

    /// The same, built by one thread: nobody waits for them.
    pub fn built_in_turn(limits: &UnwindLimits) -> Self {
        Self {
            builders: Builders::of_threads(1),
            ..Self::new(limits)
        }
    }

    /// Asks for the tables of all that is mapped and not known yet.
    pub fn ask(&mut self, mappings: &[Mapping]) {
        for mapping in mappings {
            let Backing::File(mapped, _) = &mapping.backing else {
                continue;
            };
            if self.files.contains_key(&mapped.identity) {
                continue;
            }
            let Some(file) = mapped.file.as_ref().and_then(|file| file.try_clone().ok()) else {
                continue;
            };
            if let Some(number) = self.numbers.take(1) {
                self.builders.ask(mapped.identity, file);
                let entry = Entry {
                    path: mapped.path.clone(),
                    number: number.start,
                    state: State::Building,
                };
                self.files.insert(mapped.identity, entry);
            } else {
                (self.notes).insert("More files are mapped than there can be unwind tables: stacks through the last ones follow frame pointers.".to_owned());
            }
        }
    }

    /// Places what was built; waits for what is being built, each so long.
    pub fn settle(&mut self, kernel: &mut Kernel, patience: Duration) -> Result<(), ProbeError> {
        self.add_vdso(kernel)?;
        self.cool_down();
        while let Some(Built { identity, table }) = self.builders.next(patience) {
            let Some(entry) = self.files.get_mut(&identity) else {
                continue;
            };
            match table {
                Ok(table) => {
                    if table.rows.is_empty() {
                        entry.state = State::None;
                        continue;
                    }
                    entry.state = State::Away(table);
                    self.place(identity, kernel, 0)?;
                }
                Err(error) => {
                    entry.state = State::None;
                    let path = &entry.path;
                    self.notes.insert(format!(
                        "{path}: no unwind table ({error}): stacks through it follow frame pointers and are marked approximate."
                    ));
                }
            }
        }
        Ok(())
    }

    /// The kernel's own code in each process, the same in all of them: read
    /// from this one.
    fn add_vdso(&mut self, kernel: &mut Kernel) -> Result<(), ProbeError> {
        if self.files.contains_key(&VDSO) {
            return Ok(());
        }
        let Some(number) = self.numbers.take(1) else {
            return Ok(());
        };
        let table = own_vdso().and_then(|image| elf::unwind_table(&image).ok());
        let entry = Entry {
            path: "[vdso]".to_owned(),
            number: number.start,
            state: table.map_or(State::None, State::Away),
        };
        self.files.insert(VDSO, entry);
        self.place(VDSO, kernel, 0)
    }

    /// Puts a table into the kernel's maps; where there is no room, others that
    /// were not used for `idle_ms` go, the longest unused first.
    fn place(
        &mut self,
        identity: (u64, u64),
        kernel: &mut Kernel,
        idle_ms: u32,
    ) -> Result<(), ProbeError> {
        let Some(entry) = self.files.get_mut(&identity) else {
            return Ok(());
        };
        let State::Away(table) = &entry.state else {
            return Ok(());
        };
        let (pages, chunks) = (table.pages.len() as u32, layout::chunks_of(table));
        let taken = match (self.pages.take(pages), self.chunks.take_any(chunks)) {
            (Some(pages), Some(chunks)) => Some((pages, chunks)),
            (pages, chunks) => {
                pages
                    .into_iter()
                    .for_each(|range| self.pages.give_back(range));
                give_back_all(&mut self.chunks, chunks.unwrap_or_default());
                None
            }
        };
        let Some((pages, chunks)) = taken else {
            return self.send_away(identity, chunks, kernel, idle_ms);
        };
        let numbers = number_specials(&mut self.specials, &table.specials, kernel)?;
        let packed = Packed::new(table, |row| renumbered(row, &numbers));
        for (number, rows) in chunks.iter().zip(&packed.chunks) {
            kernel.set_rows(*number, rows)?;
        }
        kernel.set_pages(pages.start, &packed.pages(&chunks))?;
        if let State::Away(table) = std::mem::replace(&mut entry.state, State::None) {
            entry.state = State::Placed(Placed {
                table,
                pages,
                chunks,
            });
        }
        self.changes += 1;
        Ok(())
    }

    /// Tells the kernel side where the code of an address space finds its tables.
    pub fn tell(
        &mut self,
        kernel: &mut Kernel,
        space: u32,
        mappings: &Mappings,
        v8: Option<&V8>,
    ) -> Result<(), ProbeError> {
        let mappings = mappings.current();
        let mut code = self.code_of(mappings);
        code.runtime = v8.map_or_else(Runtime::default, |v8| v8.runtime(mappings));
        kernel.set_space_code(space, &code)
    }

    fn code_of(&mut self, mappings: &[Mapping]) -> Box<SpaceCode> {
        let mut found: Vec<CodeMapping> =
            mappings.iter().filter_map(|it| self.mapping(it)).collect();
        if found.len() > MAPPINGS_MAX {
            (self.notes).insert(format!(
                "A process maps more than {MAPPINGS_MAX} pieces of code: stacks through the smallest follow frame pointers and are marked approximate."
            ));
            found.sort_unstable_by_key(|it| std::cmp::Reverse(it.length));
            found.truncate(MAPPINGS_MAX);
        }
        found.sort_unstable_by_key(|it| it.start);
        let mut code = Box::new(SpaceCode::default());
        for (index, mapping) in found.into_iter().enumerate() {
            code.mapped.starts[index] = mapping.start;
            code.mapped.mappings[index] = mapping;
        }
        code
    }

    fn mapping(&self, mapping: &Mapping) -> Option<CodeMapping> {
        let (identity, offset) = match &mapping.backing {
            Backing::File(file, offset) => (file.identity, *offset),
            Backing::Vdso => (VDSO, 0),
            Backing::Anonymous => return None,
        };
        let entry = self.files.get(&identity)?;
        let (first_page, pages) = match &entry.state {
            State::Placed(placed) => (placed.table.first_page, placed.pages.clone()),
            // For its mark: whether it is used.
            State::Away(table) => (table.first_page, 0..0),
            State::Building | State::None => return None,
        };
        let start_of_file = mapping.start.wrapping_sub(offset);
        Some(CodeMapping {
            start: mapping.start,
            length: mapping.end.saturating_sub(mapping.start),
            origin: start_of_file.wrapping_add(u64::from(first_page) << PAGE_SHIFT),
            first_page: pages.start,
            pages: pages.len() as u32,
            table: entry.number,
            reserved: 0,
        })
    }
}

fn give_back_all(room: &mut Room, numbers: Vec<u32>) {
    for number in numbers {
        room.give_back(number..number + 1);
    }
}

/// The numbers in the kernel's map of a table's special rules; what finds no
/// place is unknown code.
fn number_specials(
    known: &mut HashMap<Special, u16>,
    specials: &[Special],
    kernel: &mut Kernel,
) -> Result<Vec<u16>, ProbeError> {
    let mut numbers = Vec::with_capacity(specials.len());
    for special in specials {
        let next = known.len() as u16;
        let number = match known.get(special) {
            Some(number) => *number,
            None if u32::from(next) < SPECIALS_MAX => {
                kernel.set_special(next, special)?;
                known.insert(*special, next);
                next
            }
            None => 0,
        };
        numbers.push(number);
    }
    Ok(numbers)
}

fn renumbered(row_of_file: u32, numbers: &[u16]) -> u32 {
    let rule = Rule(row_of_file as u16);
    if rule.kind() != 0 {
        return row_of_file;
    }
    let number = numbers
        .get(usize::from(rule.number()))
        .copied()
        .unwrap_or(0);
    row((row_of_file >> 16) as u16, Rule::special(number))
}

/// The image of the vdso in this process.
fn own_vdso() -> Option<Vec<u8>> {
    use std::os::unix::fs::FileExt as _;
    let text = std::fs::read("/proc/self/maps").ok()?;
    let line = super::maps::lines(&text).find(|line| line.path == b"[vdso]")?;
    let mut image = vec![0; usize::try_from(line.end.checked_sub(line.start)?).ok()?];
    let memory = std::fs::File::open("/proc/self/mem").ok()?;
    memory.read_exact_at(&mut image, line.start).ok()?;
    Some(image)
}
