//! Finding the glibc of a process and the places for its probes.

use std::{collections::HashSet, fs::File, sync::Arc};

use tracer_common::{control::ALLOCATOR_RANGES, source::Source};

use super::{
    CollectError,
    mappings::{Backing, MappedFile, Mapping},
};
use crate::{
    probe::Point,
    symbolize::{AllocatorFunction, FileWorker, ObjectSummary},
};

/// An allocator's object in a process, and where its probes go.
pub struct Allocator {
    /// The object.
    pub file: Arc<MappedFile>,
    /// Such as `glibc 2.36`.
    pub name: String,
    /// Entries of the allocating functions, by source.
    pub entries: Vec<Point>,
    /// Their returns.
    pub returns: Vec<Point>,
    /// free.
    pub frees: Vec<Point>,
    /// File offsets `[start, end)` of the allocator's own code.
    pub code: [u64; 2],
}

/// What a process has of allocators.
#[derive(Default)]
pub struct Found {
    /// What can be traced: glibc, usually one.
    pub allocators: Vec<Allocator>,
    /// What cannot be traced, for the report.
    pub not_covered: Vec<String>,
    /// The loader, and the file offset of its `_dl_debug_state`.
    pub loader: Option<(Arc<MappedFile>, u64)>,
    /// The program needs no loader.
    pub is_static: bool,
}

/// Looks at every object that is mapped executable.
pub fn find(mappings: &[Mapping], worker: &mut FileWorker) -> Result<Found, CollectError> {
    let mut found = Found::default();
    let mut seen = HashSet::new();
    for mapping in mappings {
        let Backing::File(mapped, _) = &mapping.backing else {
            continue;
        };
        let Some(file) = mapped
            .file
            .as_ref()
            .filter(|_| seen.insert(mapped.identity))
        else {
            continue;
        };
        match worker.inspect(file) {
            Ok(summary) => found.add(mapped, &summary),
            // Not every executable mapping is ELF, and a broken one is no reason to give up.
            Err(error) => found
                .not_covered
                .push(format!("{} could not be looked into: {error}", mapped.path)),
        }
    }
    Ok(found)
}

impl Found {
    fn add(&mut self, mapped: &Arc<MappedFile>, summary: &ObjectSummary) {
        // A static glibc program has the symbol too, but nothing ever calls it.
        if let Some(offset) = summary.debug_state_offset
            && !summary.is_static
        {
            self.loader = Some((Arc::clone(mapped), offset));
            // The loader's own small malloc serves only until libc's takes over.
            return;
        }
        self.is_static |= summary.is_static;
        match (&summary.glibc_version, &summary.allocator_name) {
            (Some(version), _) => {
                self.allocators
                    .extend(glibc(mapped, version, &summary.functions))
            }
            (None, Some(other)) => self.not_covered.push(format!(
                "{other} in {} (blocks of it are not covered)",
                mapped.path
            )),
            (None, None) if summary.defines_malloc => {
                self.not_covered.push(format!(
                    "a malloc of its own in {} (blocks of it are not covered)",
                    mapped.path
                ));
            }
            (None, None) => {}
        }
    }
}

/// Probes of a glibc, one an address: `memalign` and `aligned_alloc` may be the same code.
fn glibc(
    mapped: &Arc<MappedFile>,
    version: &str,
    functions: &[AllocatorFunction],
) -> Option<Allocator> {
    let mut allocator = Allocator {
        file: Arc::clone(mapped),
        name: format!("glibc {version}"),
        entries: Vec::new(),
        returns: Vec::new(),
        frees: Vec::new(),
        code: [u64::MAX, 0],
    };
    let mut seen = HashSet::new();
    for function in functions {
        allocator.code[0] = allocator.code[0].min(function.file_offset);
        allocator.code[1] = allocator.code[1].max(function.file_offset + function.size.max(1));
        if !seen.insert(function.file_offset) {
            continue;
        }
        match Source::ALL
            .into_iter()
            .find(|source| source.name() == function.name)
        {
            Some(source) => {
                let cookie = source as u64;
                allocator.entries.push(Point {
                    offset: function.probe_offset,
                    cookie,
                });
                allocator.returns.push(Point {
                    offset: function.probe_offset,
                    cookie,
                });
            }
            None if function.name == "free" || function.name == "cfree" => {
                allocator.frees.push(Point {
                    offset: function.probe_offset,
                    cookie: 0,
                });
            }
            None => {}
        }
    }
    (!allocator.entries.is_empty() && !allocator.frees.is_empty()).then_some(allocator)
}

/// Addresses of the allocators' own code in this process.
pub fn code_ranges(allocators: &[Allocator], mappings: &[Mapping]) -> [[u64; 2]; ALLOCATOR_RANGES] {
    let mut ranges = [[0; 2]; ALLOCATOR_RANGES];
    let found = allocators.iter().flat_map(|allocator| {
        mappings
            .iter()
            .filter_map(move |mapping| match &mapping.backing {
                Backing::File(file, offset) if file.identity == allocator.file.identity => {
                    let end_offset = offset + (mapping.end - mapping.start);
                    let (from, to) = (
                        allocator.code[0].max(*offset),
                        allocator.code[1].min(end_offset),
                    );
                    (from < to).then(|| {
                        [
                            mapping.start + (from - offset),
                            mapping.start + (to - offset),
                        ]
                    })
                }
                _ => None,
            })
    });
    for (range, found) in ranges.iter_mut().zip(found) {
        *range = found;
    }
    ranges
}

/// The open file of an object that was found through it.
pub fn open_file(mapped: &MappedFile, pid: u32) -> Result<&File, CollectError> {
    mapped.file.as_ref().ok_or(CollectError::Gone(pid))
}
