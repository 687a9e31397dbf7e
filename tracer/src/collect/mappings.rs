//! The executable mappings of a target over time, and the files behind them.
//!
//! An address means another function after a library went, so every change of
//! the mapped files makes a new generation, and each site keeps the generation
//! it was seen in. The kernel side counts the changes that the loader tells of,
//! at once; what changes without it is seen at the next look. Code without a
//! file comes and goes all the time (a JIT compiler writes and protects it page
//! by page) and makes no generations: where it once was, it is.
//! Files are opened when a mapping is first seen: later they may be deleted,
//! upgraded, or the process gone.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::ErrorKind,
    os::fd::AsRawFd as _,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::Arc,
};

use rustix::fs::{Mode, OFlags};

use super::{CollectError, maps};

/// Most executable mappings looked at: more is an attack or a very large JIT.
const MAPPINGS_MAX: usize = 65_536;
/// What the kernel calls its own code in a process.
const VDSO: &[u8] = b"[vdso]";
/// How often files that could not be opened bring another look: most had gone
/// by then and come back, some never can be.
const RETRIES_MAX: u32 = 32;
/// Most files held open for a target.
const FILES_MAX: usize = 512;

/// A file that is mapped executable.
#[derive(Debug)]
pub struct MappedFile {
    /// Open for reading; `None` if it could not be opened.
    pub file: Option<File>,
    /// Its path as the process sees it.
    pub path: String,
    /// Device and inode, as the open file has them.
    pub identity: (u64, u64),
}

/// What an executable mapping is backed by.
#[derive(Clone, Debug)]
pub enum Backing {
    /// A file, and the offset of the mapping's start in it.
    File(Arc<MappedFile>, u64),
    /// The kernel's vdso.
    Vdso,
    /// Anonymous: code made at run time.
    Anonymous,
}

/// One executable mapping.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// First address behind it.
    pub end: u64,
    /// What is mapped.
    pub backing: Backing,
}

impl Mapping {
    /// Device and inode of the file it is of.
    pub fn file_identity(&self) -> Option<(u64, u64)> {
        match &self.backing {
            Backing::File(file, _) => Some(file.identity),
            Backing::Vdso | Backing::Anonymous => None,
        }
    }

    /// Whether each address is the same code in both.
    fn is_same(&self, other: &Self) -> bool {
        let origin = |of: &Self| match &of.backing {
            Backing::File(file, offset) => Some((file.identity, of.start.wrapping_sub(*offset))),
            Backing::Vdso => Some(((0, 0), of.start)),
            Backing::Anonymous => None,
        };
        origin(self) == origin(other)
    }
}

/// What was mapped through some generations.
#[derive(Debug)]
struct Look {
    /// The first and the last of them.
    generations: [u64; 2],
    /// By address.
    mappings: Vec<Mapping>,
}

/// The executable mappings of one address space, by generation.
#[derive(Debug, Default)]
pub struct Mappings {
    /// Generations rise from each to the next, with gaps for what nobody looked at.
    looks: Vec<Look>,
    layout: Vec<(u64, u64, u64, u64)>,
    retries: u32,
    files: HashMap<((u32, u32), u64), Arc<MappedFile>>,
    /// Code without a file, now or once: first address to first address behind.
    generated: BTreeMap<u64, u64>,
}

impl Mappings {
    /// Reads the mappings again. `generation` is the kernel side's number,
    /// taken before and even; the result is what it must be set to where the
    /// mappings changed and it did not.
    pub fn refresh(&mut self, pid: u32, generation: u64) -> Result<Option<u64>, CollectError> {
        let text =
            std::fs::read(format!("/proc/{pid}/maps")).map_err(|error| match error.kind() {
                ErrorKind::PermissionDenied => CollectError::NotPermitted {
                    pid,
                    reason: error.to_string(),
                },
                _ => CollectError::Gone(pid),
            })?;
        let (files, generated): (Vec<_>, Vec<_>) = maps::lines(&text)
            .filter(|line| line.executable)
            .take(MAPPINGS_MAX)
            .partition(|line| line.inode != 0 || line.path == VDSO);
        for line in generated {
            self.add_generated(line.start, line.end);
        }
        let layout: Vec<_> = files
            .iter()
            .map(|line| (line.start, line.end, line.offset, line.inode))
            .collect();
        if layout.is_empty() {
            return Ok(None);
        }
        if let Some(last) = self.looks.last_mut().filter(|_| layout == self.layout) {
            last.generations[1] = last.generations[1].max(generation);
            return Ok(None);
        }
        let known = self.looks.last().map(|look| look.generations[1]);
        let number = known.map_or(generation, |known| generation.max(known + 2));
        let mappings = files.iter().map(|line| self.mapping(pid, line)).collect();
        self.looks.push(Look {
            generations: [number; 2],
            mappings,
        });
        self.layout = layout;
        if self.forget_unopened() && self.retries < RETRIES_MAX {
            // Unmapped after the look, and maybe mapped there again by now.
            self.retries += 1;
            self.layout.clear();
        }
        Ok((number != generation).then_some(number))
    }

    /// Whether there are files that could not be opened; they are to be tried again.
    fn forget_unopened(&mut self) -> bool {
        let all = self.files.len();
        self.files.retain(|_, file| file.file.is_some());
        self.files.len() < all
    }

    /// How often the mapped files have changed.
    #[must_use]
    pub const fn changes(&self) -> usize {
        self.looks.len()
    }

    /// The newest generation's files.
    #[must_use]
    pub fn current(&self) -> &[Mapping] {
        self.looks.last().map_or(&[], |look| &look.mappings)
    }

    /// The mapping that held an address in a generation, and whether that is sure.
    ///
    /// A generation that nobody looked at was changed from the one before it
    /// to the one after: sure is what was there only after, or both times the
    /// same. What was there only before is likely, but not sure.
    #[must_use]
    pub fn find(&self, generation: u64, address: u64) -> Option<(Mapping, bool)> {
        let next = self
            .looks
            .partition_point(|look| look.generations[1] < generation);
        let seen = |look: &Look| Self::find_in(&look.mappings, address).cloned();
        let after = self.looks.get(next);
        let was_looked_at = after.is_some_and(|look| look.generations[0] <= generation);
        let before = || {
            let index = next.checked_sub(1).filter(|_| !was_looked_at)?;
            self.looks.get(index).and_then(seen)
        };
        let later = (self.looks.iter().skip(next).take(2)).find_map(seen);
        match (before(), later) {
            (None, Some(later)) => Some((later, true)),
            (Some(before), Some(later)) => {
                let is_same = before.is_same(&later);
                Some((later, is_same))
            }
            (Some(before), None) => Some((before, false)),
            (None, None) => Some((self.find_generated(address)?, true)),
        }
    }

    fn find_in(mappings: &[Mapping], address: u64) -> Option<&Mapping> {
        let index = mappings.partition_point(|mapping| mapping.end <= address);
        mappings
            .get(index)
            .filter(|mapping| mapping.start <= address)
    }

    fn find_generated(&self, address: u64) -> Option<Mapping> {
        let (start, end) = self.generated.range(..=address).next_back()?;
        (address < *end).then_some(Mapping {
            start: *start,
            end: *end,
            backing: Backing::Anonymous,
        })
    }

    /// Joins a range with those it touches.
    fn add_generated(&mut self, mut start: u64, mut end: u64) {
        while let Some((&before, &until)) = self
            .generated
            .range(..=end)
            .next_back()
            .filter(|(_, until)| **until >= start)
        {
            if before <= start && until >= end {
                return;
            }
            self.generated.remove(&before);
            (start, end) = (start.min(before), end.max(until));
        }
        if self.generated.len() < MAPPINGS_MAX {
            self.generated.insert(start, end);
        }
    }

    fn mapping(&mut self, pid: u32, line: &maps::Line<'_>) -> Mapping {
        let backing = if line.inode == 0 {
            Backing::Vdso
        } else {
            let key = (line.device, line.inode);
            let room = self.files.len() < FILES_MAX;
            let file = self
                .files
                .entry(key)
                .or_insert_with(|| Arc::new(open_mapped(pid, line, room)));
            Backing::File(Arc::clone(file), line.offset)
        };
        Mapping {
            start: line.start,
            end: line.end,
            backing,
        }
    }
}

/// Opens the file behind a mapping: by the mapping itself, which works for
/// deleted files and in other mount namespaces, else by its path there.
pub(super) fn open_mapped(pid: u32, line: &maps::Line<'_>, room: bool) -> MappedFile {
    let by_mapping = format!("/proc/{pid}/map_files/{:x}-{:x}", line.start, line.end);
    let file = room.then(|| open_regular(Path::new(&by_mapping))).flatten();
    let identity = file
        .as_ref()
        .and_then(|file| file.metadata().ok())
        .map_or((0, 0), |file| (file.dev(), file.ino()));
    MappedFile {
        file,
        path: String::from_utf8_lossy(line.path)
            .chars()
            .take(4096)
            .collect(),
        identity,
    }
}

/// Opens a regular file for reading without touching anything else: a device
/// is recognised before it is opened.
fn open_regular(path: &Path) -> Option<File> {
    let found = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let stat = rustix::fs::fstat(&found).ok()?;
    if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::RegularFile {
        return None;
    }
    let again = format!("/proc/self/fd/{}", found.as_raw_fd());
    rustix::fs::open(
        again,
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK,
        Mode::empty(),
    )
    .ok()
    .map(File::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(generations: [u64; 2], mappings: &[(u64, u64)]) -> Look {
        let mappings = mappings.iter().map(|&(start, end)| Mapping {
            start,
            end,
            backing: Backing::Vdso,
        });
        Look {
            generations,
            mappings: mappings.collect(),
        }
    }

    /// An address is what it was in its own generation; in one that nobody
    /// looked at, what it was at the next look and no later, or else, not
    /// surely, what it was at the one before.
    #[test]
    fn generations_keep_their_mappings() {
        let mappings = Mappings {
            looks: vec![
                look([0, 2], &[(0x1000, 0x2000), (0x6000, 0x7000)]),
                look([5, 5], &[(0x1000, 0x3000)]),
                look([6, 9], &[(0x4000, 0x5000)]),
            ],
            ..Mappings::default()
        };
        let found = |generation, address| {
            let (mapping, is_sure) = mappings.find(generation, address)?;
            Some((mapping.end, is_sure))
        };
        let end = |generation, address| {
            let (end, is_sure) = found(generation, address)?;
            is_sure.then_some(end)
        };
        for generation in 0..=2 {
            assert_eq!(end(generation, 0x1800), Some(0x2000));
            assert_eq!(end(generation, 0x2800), Some(0x3000));
            assert_eq!(end(generation, 0x4800), None);
        }
        for generation in 3..=5 {
            assert_eq!(end(generation, 0x1800), Some(0x3000));
            assert_eq!(end(generation, 0x4800), Some(0x5000));
        }
        for generation in 6..=9 {
            assert_eq!(end(generation, 0x1800), None);
            assert_eq!(end(generation, 0x4800), Some(0x5000));
        }
        for generation in [3, 4] {
            assert_eq!(found(generation, 0x6800), Some((0x7000, false)));
        }
        assert_eq!(found(5, 0x6800), None);
        assert_eq!(found(u64::MAX, 0x4800), Some((0x5000, false)));
    }

    /// Generated code is found in every generation, its ranges joined where they touch.
    #[test]
    fn generated_code_is_joined() {
        let mut mappings = Mappings::default();
        for (start, end) in [(10, 20), (40, 50), (20, 30), (60, 70), (25, 45), (41, 42)] {
            mappings.add_generated(start, end);
        }
        let ranges: Vec<_> = mappings.generated.iter().map(|(a, b)| (*a, *b)).collect();
        assert_eq!(ranges, [(10, 50), (60, 70)]);
        assert!(mappings.find(7, 49).is_some() && mappings.find(0, 50).is_none());
        assert!(mappings.find(0, 9).is_none() && mappings.find(0, 60).is_some());
    }
}
