//! Addresses to frames: which file, which offset, which name.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::File,
    sync::Arc,
};

use tracer_common::{javascript::JavascriptFrame, unwind::frame};

use super::{
    javascript::{Javascript, Meaning, Named},
    mappings::{Backing, MappedFile, Mappings},
};
use crate::{
    model::Frame,
    symbolize::{FileWorker, NEAR, Symbol, debug_file},
};

/// Where an address lies.
#[derive(Clone, Debug)]
pub enum Place {
    /// At an offset in a file.
    File(Arc<MappedFile>, u64),
    /// In the vdso, at this offset.
    Vdso(u64),
    /// In code made at run time: the address space, and the address in it.
    Anonymous(u32, u64),
    /// In these JavaScript functions, innermost first; none: in an unknown one.
    Javascript(Vec<Named>),
}

/// One frame of a stack.
#[derive(Clone, Debug)]
pub struct Located {
    /// Where it stands.
    pub place: Place,
    /// It was found by a frame pointer that its callee may not have kept.
    pub approximate: bool,
}

/// The places of a stack's frames, innermost first, and whether they are all.
///
/// Ends where a frame pointer led to what is no code: it was followed through
/// code that keeps none, and all that comes after is as wrong.
pub fn places(
    space: u32,
    mappings: &Mappings,
    javascript: &Javascript,
    generation: u64,
    frames: &[u64],
) -> (Vec<Located>, bool) {
    // What is found behind a doubtful frame is as doubtful.
    let mut is_doubtful = false;
    let places: Vec<Located> = frames
        .iter()
        .map_while(|word| {
            let mut approximate = frame::is_approximate(*word);
            is_doubtful |= approximate;
            let address = match JavascriptFrame::of(*word, space) {
                None => frame::address(*word),
                Some(frame) => match javascript.meaning(frame, space) {
                    Meaning::Code(address) => address,
                    Meaning::Functions(functions) => {
                        let place = Place::Javascript(functions);
                        return Some(Located { place, approximate });
                    }
                },
            };
            // A return address stands behind its call, which may be the last
            // instruction of its function.
            let place = match mappings.find(generation, address.wrapping_sub(1)) {
                Some((mapping, is_sure)) => {
                    approximate |= !is_sure;
                    is_doubtful |= !is_sure;
                    let offset = address - mapping.start;
                    match &mapping.backing {
                        Backing::File(file, start) => Place::File(Arc::clone(file), start + offset),
                        Backing::Vdso => Place::Vdso(offset),
                        Backing::Anonymous => Place::Anonymous(space, address),
                    }
                }
                // It came and went between two looks.
                None if !is_doubtful => Place::Anonymous(space, address),
                None => return None,
            };
            Some(Located { place, approximate })
        })
        .collect();
    let are_all = places.len() == frames.len();
    (places, are_all)
}

/// Names for places, looked up file by file.
#[derive(Default)]
pub struct Names {
    files: HashMap<(u64, u64), FileNames>,
    /// By address space and address: each process makes code of its own.
    jit: HashMap<(u32, u64), Option<String>>,
    /// What could not be named, and why, for the report.
    pub notes: BTreeSet<String>,
}

/// What a debug file says in place of what the object does; but a public
/// function keeps the name that programs call it by (`raise`, not `__GI_raise`).
fn replace(symbols: &mut Vec<Symbol>, mut better: Vec<Symbol>) {
    let Some(outermost) = better.last_mut() else {
        return;
    };
    let public = symbols.last().and_then(|symbol| symbol.function.clone());
    if let Some(public) = public.filter(|name| !name.starts_with(NEAR)) {
        outermost.function = Some(public);
    }
    *symbols = better;
}

#[derive(Default)]
struct FileNames {
    is_inspected: bool,
    build_id: Option<String>,
    /// Its separate debug file, where one is installed.
    debug_file: Option<File>,
    symbols: HashMap<u64, Vec<Symbol>>,
}

impl Names {
    /// Looks all `places` of one process up, while it lives by its `pid`.
    /// `perf_map` is its own, if it wrote one.
    pub fn look_up<'a>(
        &mut self,
        places: impl Iterator<Item = &'a Located>,
        pid: Option<u32>,
        perf_map: Option<&File>,
        worker: &mut FileWorker,
    ) {
        let mut by_file: BTreeMap<(u64, u64), (Arc<MappedFile>, BTreeSet<u64>)> = BTreeMap::new();
        let mut jit = BTreeSet::new();
        for located in places {
            match &located.place {
                Place::File(file, offset) => {
                    let entry = by_file
                        .entry(file.identity)
                        .or_insert_with(|| (Arc::clone(file), BTreeSet::new()));
                    entry.1.insert(*offset);
                }
                Place::Anonymous(space, address) => {
                    jit.insert((*space, *address));
                }
                Place::Vdso(_) | Place::Javascript(_) => {}
            }
        }
        for (identity, (mapped, offsets)) in by_file {
            let offsets = offsets.into_iter().collect();
            self.look_up_file(identity, &mapped, offsets, pid, worker);
        }
        if let Some(perf_map) = perf_map {
            self.look_up_jit(perf_map, jit.into_iter().collect(), worker);
        }
    }

    fn look_up_file(
        &mut self,
        identity: (u64, u64),
        mapped: &MappedFile,
        mut offsets: Vec<u64>,
        pid: Option<u32>,
        worker: &mut FileWorker,
    ) {
        let Some(file) = &mapped.file else {
            self.notes.insert(format!(
                "{}: could not be opened, its functions have no names",
                mapped.path
            ));
            return;
        };
        let names = self.files.entry(identity).or_default();
        offsets.retain(|offset| !names.symbols.contains_key(offset));
        if offsets.is_empty() {
            return;
        }
        if !names.is_inspected {
            names.is_inspected = true;
            if let Ok(summary) = worker.inspect(file) {
                names.debug_file = debug_file::find(pid, &mapped.path, &summary, worker);
                names.build_id = summary.build_id;
            }
        }
        let calls: Vec<u64> = offsets
            .iter()
            .map(|offset| offset.saturating_sub(1))
            .collect();
        let symbols = worker.symbolize(file, &calls).map(|mut symbols| {
            let debug_file = names.debug_file.as_ref();
            let better = debug_file.map(|it| worker.symbolize_by(it, file, &calls));
            if let Some(Ok(better)) = better {
                for (symbols, better) in symbols.iter_mut().zip(better) {
                    replace(symbols, better);
                }
            }
            symbols
        });
        match symbols {
            Ok(symbols) => names.symbols.extend(offsets.into_iter().zip(symbols)),
            Err(error) => {
                self.notes.insert(format!(
                    "{}: no names for its functions: {error}",
                    mapped.path
                ));
            }
        }
    }

    fn look_up_jit(
        &mut self,
        perf_map: &File,
        addresses: Vec<(u32, u64)>,
        worker: &mut FileWorker,
    ) {
        if addresses.is_empty() {
            return;
        }
        let calls: Vec<u64> = addresses.iter().map(|(_, address)| address - 1).collect();
        match worker.perf_map(perf_map, &calls) {
            Ok(found) => {
                if found.truncated {
                    self.notes.insert(
                        "the perf map is too large and was read in part: some frames have no names"
                            .to_owned(),
                    );
                }
                self.jit.extend(addresses.into_iter().zip(found.names));
            }
            Err(error) => {
                self.notes
                    .insert(format!("the perf map could not be read: {error}"));
            }
        }
    }

    /// The frames of a stack, innermost first, inlined ones included.
    #[must_use]
    pub fn frames(&self, places: &[Located]) -> Vec<Frame> {
        let mut frames = Vec::new();
        for located in places {
            let from = frames.len();
            match &located.place {
                Place::File(file, offset) => self.file_frames(file, *offset, &mut frames),
                Place::Vdso(offset) => {
                    frames.push(Frame {
                        module: "[vdso]".to_owned(),
                        offset: *offset,
                        ..Frame::default()
                    });
                }
                Place::Javascript(functions) => {
                    frames.extend(functions.iter().map(Named::frame));
                }
                Place::Anonymous(space, address) => frames.push(Frame {
                    function: self.jit.get(&(*space, *address)).cloned().flatten(),
                    module: "[jit]".to_owned(),
                    offset: *address,
                    ..Frame::default()
                }),
            }
            for frame in &mut frames[from..] {
                frame.approximate |= located.approximate;
            }
        }
        frames
    }

    fn file_frames(&self, file: &MappedFile, offset: u64, frames: &mut Vec<Frame>) {
        let names = self.files.get(&file.identity);
        let plain = Frame {
            module: file.path.clone(),
            build_id: names.and_then(|names| names.build_id.clone()),
            offset,
            ..Frame::default()
        };
        match names
            .and_then(|names| names.symbols.get(&offset))
            .filter(|symbols| !symbols.is_empty())
        {
            None => frames.push(plain),
            Some(symbols) => frames.extend(symbols.iter().map(|symbol| Frame {
                function: symbol.function.clone(),
                file: symbol.file.clone(),
                line: symbol.line,
                inlined: symbol.inlined,
                ..plain.clone()
            })),
        }
    }
}
