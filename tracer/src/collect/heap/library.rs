//! Which of a process's mappings the heap walk is to see, and which glibc it has.

use crate::{
    collect::{CollectError, mappings::open_mapped, maps},
    heap::{Kind, Mapping, Mappings, Version},
    symbolize::FileWorker,
};

/// Most mappings handed to the walk.
const MAPPINGS_MAX: usize = 1 << 17;
/// Most different files looked into.
const FILES_MAX: usize = 64;

/// A glibc in a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Library {
    pub version: Version,
    device: (u32, u32),
    inode: u64,
}

/// Finds the glibc: the library called so, else whatever object has one in it.
pub fn find(pid: u32, maps: &[u8]) -> Result<Option<Library>, CollectError> {
    let mut worker = FileWorker::start()?;
    let mut lines: Vec<maps::Line<'_>> = Vec::new();
    for line in maps::lines(maps) {
        let is_known = |it: &maps::Line<'_>| (it.device, it.inode) == (line.device, line.inode);
        if line.executable
            && line.inode != 0
            && lines.len() < FILES_MAX
            && !lines.iter().any(is_known)
        {
            lines.push(line);
        }
    }
    lines.sort_by_key(|line| !is_called_libc(line.path));
    for line in lines {
        let Some(file) = open_mapped(pid, &line, true).file else {
            continue;
        };
        // What cannot be read is no glibc.
        let Ok(summary) = worker.inspect(&file) else {
            continue;
        };
        let version = summary.glibc_version.as_deref().and_then(version_of);
        if let Some(version) = version {
            return Ok(Some(Library {
                version,
                device: line.device,
                inode: line.inode,
            }));
        }
    }
    Ok(None)
}

fn is_called_libc(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    name.starts_with(b"libc.so") || name.starts_with(b"libc-2")
}

fn version_of(text: &str) -> Option<Version> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The private mappings that can be written, by what may be in them.
pub fn mappings(maps: &[u8], library: &Library) -> Mappings {
    let mut mappings: Vec<Mapping> = Vec::new();
    // Where the library's data goes on without a file.
    let mut data_end = None;
    for line in maps::lines(maps) {
        let is_library = (line.device, line.inode) == (library.device, library.inode);
        let kind = if is_library
            || line.inode == 0 && data_end == Some(line.start) && line.path.is_empty()
        {
            data_end = Some(line.end);
            Kind::Library
        } else if line.path == b"[heap]" {
            Kind::Break
        } else if line.inode == 0 && (line.path.is_empty() || line.path.starts_with(b"[anon:")) {
            Kind::Anonymous
        } else {
            continue;
        };
        if line.writable && !line.shared && mappings.len() < MAPPINGS_MAX {
            let (start, end) = (line.start, line.end);
            mappings.push(Mapping { start, end, kind });
        }
    }
    Mappings(mappings)
}
