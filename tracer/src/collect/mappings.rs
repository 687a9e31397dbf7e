//! The executable mappings of a target over time, and the files behind them.
//!
//! An address means another function after a library went, so every change
//! makes a new generation, and each site keeps the generation it was seen in.
//! Files are opened when a mapping is first seen: later they may be deleted,
//! upgraded, or the process gone.

use std::{
    collections::HashMap, fs::File, os::fd::AsRawFd as _, os::unix::fs::MetadataExt as _,
    path::Path, sync::Arc,
};

use procfs::process::{MMPermissions, MMapPath, MemoryMap, Process as ProcProcess};
use rustix::fs::{Mode, OFlags};

use super::CollectError;

/// Most executable mappings looked at: more is an attack or a very large JIT.
const MAPPINGS_MAX: usize = 65_536;
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

/// The executable mappings of one address space, by generation.
#[derive(Debug, Default)]
pub struct Mappings {
    generations: Vec<Vec<Mapping>>,
    layout: Vec<(u64, u64, u64, u64)>,
    files: HashMap<(i32, i32, u64), Arc<MappedFile>>,
}

impl Mappings {
    /// Reads the mappings again; true if they are others than before, which
    /// starts a new generation.
    pub fn refresh(&mut self, pid: u32) -> Result<bool, CollectError> {
        let gone = |_| CollectError::Gone(pid);
        let maps = ProcProcess::new(pid as i32)
            .and_then(|process| process.maps())
            .map_err(gone)?;
        let executable: Vec<&MemoryMap> = maps
            .iter()
            .filter(|map| map.perms.contains(MMPermissions::EXECUTE))
            .take(MAPPINGS_MAX)
            .collect();
        let layout: Vec<_> = executable
            .iter()
            .map(|map| (map.address.0, map.address.1, map.offset, map.inode))
            .collect();
        if layout.is_empty() || layout == self.layout {
            return Ok(false);
        }
        let mappings = executable
            .iter()
            .map(|map| self.mapping(pid, map))
            .collect();
        self.generations.push(mappings);
        self.layout = layout;
        Ok(true)
    }

    /// The number of the newest generation.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generations.len().saturating_sub(1) as u64
    }

    /// The newest generation.
    #[must_use]
    pub fn current(&self) -> &[Mapping] {
        self.generations.last().map_or(&[], Vec::as_slice)
    }

    /// The mapping that held an address in a generation.
    ///
    /// A generation lasts until the next look, and what was mapped meanwhile
    /// (a JIT compiler maps code as it goes, and tells nobody) is in the next
    /// one only: that one is asked where the generation itself has nothing.
    #[must_use]
    pub fn find(&self, generation: u64, address: u64) -> Option<&Mapping> {
        let first = usize::try_from(generation).ok()?;
        (self.generations.iter().skip(first).take(2))
            .find_map(|mappings| Self::find_in(mappings, address))
    }

    fn find_in(mappings: &[Mapping], address: u64) -> Option<&Mapping> {
        let index = mappings.partition_point(|mapping| mapping.end <= address);
        mappings
            .get(index)
            .filter(|mapping| mapping.start <= address)
    }

    fn mapping(&mut self, pid: u32, map: &MemoryMap) -> Mapping {
        let (start, end) = map.address;
        let backing = match &map.pathname {
            MMapPath::Vdso => Backing::Vdso,
            MMapPath::Path(path) if map.inode != 0 => {
                let key = (map.dev.0, map.dev.1, map.inode);
                let room = self.files.len() < FILES_MAX;
                let file = self
                    .files
                    .entry(key)
                    .or_insert_with(|| Arc::new(open_mapped(pid, start, end, path, room)));
                Backing::File(Arc::clone(file), map.offset)
            }
            _ => Backing::Anonymous,
        };
        Mapping {
            start,
            end,
            backing,
        }
    }
}

/// Opens the file behind a mapping: by the mapping itself, which works for
/// deleted files and in other mount namespaces, else by its path there.
fn open_mapped(pid: u32, start: u64, end: u64, path: &Path, room: bool) -> MappedFile {
    let by_mapping = format!("/proc/{pid}/map_files/{start:x}-{end:x}");
    let file = room.then(|| open_regular(Path::new(&by_mapping))).flatten();
    let identity = file
        .as_ref()
        .and_then(|file| file.metadata().ok())
        .map_or((0, 0), |file| (file.dev(), file.ino()));
    MappedFile {
        file,
        path: path.to_string_lossy().chars().take(4096).collect(),
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

    fn mapping(start: u64, end: u64) -> Mapping {
        Mapping {
            start,
            end,
            backing: Backing::Anonymous,
        }
    }

    /// What was mapped after a look is found in the next, and no later.
    #[test]
    fn code_mapped_between_two_looks_is_found() {
        let mappings = Mappings {
            generations: vec![
                vec![mapping(0x1000, 0x2000)],
                vec![mapping(0x1000, 0x3000)],
                vec![mapping(0x4000, 0x5000)],
            ],
            ..Mappings::default()
        };
        let start = |generation, address| Some(mappings.find(generation, address)?.end);
        assert_eq!(start(0, 0x1800), Some(0x2000));
        assert_eq!(start(0, 0x2800), Some(0x3000));
        assert_eq!(start(0, 0x4800), None);
        assert_eq!(start(1, 0x4800), Some(0x5000));
        assert_eq!(start(2, 0x1800), None);
        assert_eq!(start(3, 0x4800), None);
        assert_eq!(start(u64::MAX, 0x4800), None);
    }
}
