//! Finding the allocators of a process and the places for their probes.

use std::{collections::HashSet, fs::File, sync::Arc};

use tracer_common::{
    control::ALLOCATOR_RANGES,
    function::{Function, free, javascript_heap},
};

use super::{
    CollectError,
    javascript::V8,
    mappings::{Backing, MappedFile, Mapping},
};
use crate::{
    probe::Point,
    symbolize::{
        AllocatorFunction, FileWorker, Interface, ObjectSummary, SamplingPoint, interface,
        v8::Layout,
    },
};

/// An allocator's object in a process, and where its probes go.
pub struct Allocator {
    /// The object.
    pub file: Arc<MappedFile>,
    /// Such as `glibc 2.36`.
    pub name: String,
    /// Entries of the allocating functions.
    pub entries: Vec<Point>,
    /// Their returns, of those that cannot throw.
    pub returns: Vec<Point>,
    /// The `ret`s of those that can.
    pub exits: Vec<Point>,
    /// Entries of the functions that free.
    pub frees: Vec<Point>,
    /// It is a library that is an allocator and nothing else.
    pub is_all: bool,
    /// File offsets `[start, end)` of the allocator's own code.
    pub code: [u64; 2],
    /// Functions of it that cannot be probed.
    pub not_covered: Vec<String>,
}

/// What a process has of allocators.
#[derive(Default)]
pub struct Found {
    /// What can be traced; usually one.
    pub allocators: Vec<Allocator>,
    /// What cannot be traced, for the report.
    pub not_covered: Vec<String>,
    /// The loader, and the file offset of its `_dl_debug_state`.
    pub loader: Option<(Arc<MappedFile>, u64)>,
    /// The program needs no loader.
    pub is_static: bool,
    /// The V8 in it.
    pub v8: Option<Arc<V8>>,
    /// Why its JavaScript functions have no names, if so.
    pub unknown_v8: Option<String>,
    /// The file with a V8 in it, and where its allocation is sampled.
    pub javascript_heap: Option<(Arc<MappedFile>, Vec<Point>)>,
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
    /// That nobody can tell who allocates in its JavaScript heap, if so.
    pub fn unsampled_javascript(&self) -> Option<String> {
        let (file, points) = self.javascript_heap.as_ref()?;
        points.is_empty().then(|| {
            format!(
                "the V8 in {} has no sampling point: its symbols do not say where it counts what it allocates, so which JavaScript functions allocate is not told",
                file.path
            )
        })
    }

    fn add_v8(&mut self, mapped: &Arc<MappedFile>, summary: &ObjectSummary) {
        if let Some(points) = &summary.javascript_heap {
            let point = |it: &SamplingPoint| Point {
                offset: it.probe_offset,
                cookie: if it.is_large {
                    javascript_heap::LARGE
                } else {
                    javascript_heap::BUFFER
                },
            };
            let points = points.iter().map(point).collect();
            self.javascript_heap = Some((Arc::clone(mapped), points));
        }
        match &summary.v8 {
            Some(Ok(layout)) => {
                self.v8 = Some(Arc::new(V8 {
                    file: mapped.identity,
                    layout: Layout::clone(layout),
                }));
            }
            Some(Err(reason)) => {
                self.unknown_v8 = Some(format!(
                    "{}: JavaScript functions have names only where a perf map tells them ({reason}).",
                    mapped.path
                ));
            }
            None => {}
        }
    }

    fn add(&mut self, mapped: &Arc<MappedFile>, summary: &ObjectSummary) {
        // A static program has the symbol too, but nothing ever calls it.
        if let Some(offset) = summary.debug_state_offset
            && !summary.is_static
        {
            self.loader = Some((Arc::clone(mapped), offset));
            // glibc's own small malloc in its loader serves only until libc's
            // takes over; musl's loader is its libc.
            if summary.allocator_name.as_deref() != Some("musl") {
                return;
            }
        }
        self.is_static |= summary.is_static;
        self.add_v8(mapped, summary);
        if summary.functions.is_empty() {
            self.not_covered.extend(without_functions(mapped, summary));
            return;
        }
        if let Some(allocator) = allocator_of(mapped, summary) {
            let incomplete = &allocator.not_covered;
            if !incomplete.is_empty() {
                let what = incomplete.join(", ");
                self.not_covered
                    .push(format!("{what} of {} in {}", allocator.name, mapped.path));
            }
            self.allocators.push(allocator);
        }
    }
}

/// What is known of an object that should have an allocator's functions and has none.
fn without_functions(mapped: &MappedFile, summary: &ObjectSummary) -> Option<String> {
    let path = &mapped.path;
    match (&summary.allocator_name, &summary.hint) {
        (Some(name), _) => Some(format!(
            "{name} in {path}, whose functions are not in its symbol table"
        )),
        (None, Some(hint)) if summary.is_static => Some(format!(
            "{path}, a static program without symbols, by its constants with {hint}'s malloc"
        )),
        (None, Some(hint)) => Some(format!(
            "{hint}, by its constants a part of {path}, in which its functions have no names"
        )),
        (None, None) if summary.is_static => Some(format!(
            "{path}, a static program in which no known allocator function can be found (stripped, or of a language with its own heap)"
        )),
        (None, None) => None,
    }
}

/// The allocator that an object is.
fn name_of(mapped: &MappedFile, summary: &ObjectSummary) -> String {
    match (&summary.allocator_name, &summary.glibc_version) {
        (Some(name), _) => name.clone(),
        (None, Some(version)) => format!("glibc {version}"),
        (None, None) => {
            let file = mapped.path.rsplit('/').next().unwrap_or_default();
            format!("malloc of {file}")
        }
    }
}

/// Probes of an allocator, one an address: several names may be the same code.
fn allocator_of(mapped: &Arc<MappedFile>, summary: &ObjectSummary) -> Option<Allocator> {
    let mut allocator = Allocator {
        file: Arc::clone(mapped),
        name: name_of(mapped, summary),
        entries: Vec::new(),
        returns: Vec::new(),
        exits: Vec::new(),
        frees: Vec::new(),
        is_all: is_all(summary),
        code: code_of(summary),
        not_covered: Vec::new(),
    };
    // Which of glibc's functions jump to which is known (`Call::continues_as`).
    let jumps_are_known = summary.glibc_version.is_some() && summary.allocator_name.is_none();
    // A wrapper hands on to the next library's.
    let is_wrapper = summary.allocator_name.is_none() && summary.glibc_version.is_none();
    let mut seen = HashSet::new();
    let mut exits = HashSet::new();
    for function in &summary.functions {
        if !seen.insert(function.file_offset) {
            continue;
        }
        let Some(interface) = interface(&function.name) else {
            continue;
        };
        let point = |cookie| Point {
            offset: function.probe_offset,
            cookie,
        };
        let function_of = |source, shape| {
            let plain = Function::new(source, shape, seen.len() as u8);
            if function.jumps && !jumps_are_known {
                plain.jumping()
            } else {
                plain
            }
        };
        match interface {
            Interface::Frees if !is_wrapper => allocator.frees.push(point(free::WHOLE)),
            Interface::Frees | Interface::HandsOn => allocator.frees.push(point(free::MAY_HAND_ON)),
            Interface::Allocates(source, shape) => {
                let cookie = function_of(source, shape).cookie();
                allocator.entries.push(point(cookie));
                allocator.returns.push(point(cookie));
            }
            Interface::Throws(..) if function.exits.is_empty() => {
                allocator.not_covered.push(format!(
                    "{} (it can throw, and where it ends cannot be told)",
                    function.name
                ));
            }
            Interface::Throws(shape) => {
                let all_exits = !function.has_unknown_exits;
                let cookie = Function::throwing_new(shape, all_exits).cookie();
                allocator.entries.push(point(cookie));
                let new = function.exits.iter().filter(|exit| exits.insert(**exit));
                let points = new.map(|&offset| Point { offset, cookie });
                allocator.exits.extend(points);
            }
        }
    }
    (!allocator.entries.is_empty() && !allocator.frees.is_empty()).then_some(allocator)
}

/// Whether a library is an allocator and nothing else.
fn is_all(summary: &ObjectSummary) -> bool {
    summary.soname.is_some()
        && summary.glibc_version.is_none()
        && summary.allocator_name.as_deref() != Some("musl")
}

/// Of a library that is an allocator all its code is the allocator's; of libc
/// and of a program, what lies between its functions.
fn code_of(summary: &ObjectSummary) -> [u64; 2] {
    if is_all(summary) {
        return summary.code;
    }
    let ends = |function: &AllocatorFunction| function.file_offset + function.size.max(1);
    let functions = || summary.functions.iter();
    [
        functions()
            .map(|it| it.file_offset)
            .min()
            .unwrap_or(u64::MAX),
        functions().map(ends).max().unwrap_or(0),
    ]
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
