//! The tables of a profile: each text, function, place and module once.

use std::collections::{HashMap, hash_map::Entry};

use super::message::{Function, Line, Location, Mapping};
use crate::model::Frame;
use crate::render::names;

/// What the samples refer to. Grows as they are added.
#[derive(Default)]
pub struct Tables<'a> {
    pub texts: Vec<String>,
    text_ids: HashMap<String, i64>,
    pub functions: Vec<Function>,
    /// By name and file.
    function_ids: HashMap<(i64, i64), u64>,
    pub locations: Vec<Location>,
    /// By the frames that the compiler made one place of.
    location_ids: HashMap<&'a [Frame], u64>,
    named_locations: HashMap<i64, u64>,
    pub mappings: Vec<Mapping>,
    /// By module and build id.
    mapping_ids: HashMap<(&'a str, Option<&'a str>), usize>,
}

impl<'a> Tables<'a> {
    /// Tables with the empty text, which is the first by definition.
    pub fn new() -> Self {
        let mut tables = Self::default();
        tables.text("");
        tables
    }

    /// The text's index. Names from a target come through [`names`] before.
    pub fn text(&mut self, text: &str) -> i64 {
        if let Some(id) = self.text_ids.get(text) {
            return *id;
        }
        let id = self.texts.len() as i64;
        self.texts.push(text.to_owned());
        self.text_ids.insert(text.to_owned(), id);
        id
    }

    /// The place that stands for what is no frame, such as a lost stack.
    pub fn named_location(&mut self, name: &str) -> u64 {
        let name = self.text(name);
        if let Some(id) = self.named_locations.get(&name) {
            return *id;
        }
        let function_id = self.function(name, 0);
        let line = vec![Line {
            function_id,
            line: 0,
        }];
        let id = self.add(0, 0, line);
        self.named_locations.insert(name, id);
        id
    }

    /// The place of a function with those that were put into it, innermost first.
    pub fn location(&mut self, frames: &'a [Frame]) -> u64 {
        if let Some(id) = self.location_ids.get(frames) {
            return *id;
        }
        let Some(outermost) = frames.last() else {
            return self.named_location(names::STACK_LOST);
        };
        let line = frames.iter().map(|frame| self.line(frame)).collect();
        let mapping_id = self.mapping(outermost, frames);
        let id = self.add(mapping_id, outermost.offset, line);
        self.location_ids.insert(frames, id);
        id
    }

    /// Makes this frame's module the first mapping, as readers expect of the main program.
    pub fn lead_with(&mut self, frame: &'a Frame) {
        self.mapping_of(&frame.module, frame.build_id.as_deref());
    }

    fn add(&mut self, mapping_id: u64, address: u64, line: Vec<Line>) -> u64 {
        let id = self.locations.len() as u64 + 1;
        self.locations.push(Location {
            id,
            mapping_id,
            address,
            line,
        });
        id
    }

    fn line(&mut self, frame: &Frame) -> Line {
        // Readers add up functions by name, and scripts have many of one name.
        let name = self.text(&names::brief(frame));
        let file = self.text(&names::sanitize(frame.file.as_deref().unwrap_or_default()));
        Line {
            function_id: self.function(name, file),
            line: frame.line.unwrap_or_default().into(),
        }
    }

    fn function(&mut self, name: i64, filename: i64) -> u64 {
        let next = self.functions.len() as u64 + 1;
        match self.function_ids.entry((name, filename)) {
            Entry::Occupied(found) => *found.get(),
            Entry::Vacant(free) => {
                self.functions.push(Function {
                    id: next,
                    name,
                    system_name: name,
                    filename,
                });
                *free.insert(next)
            }
        }
    }

    fn mapping(&mut self, outermost: &'a Frame, frames: &[Frame]) -> u64 {
        let index = self.mapping_of(&outermost.module, outermost.build_id.as_deref());
        let Some(mapping) = self.mappings.get_mut(index) else {
            return 0;
        };
        // Addresses are offsets in the file, so the mapping is the file from its beginning.
        let behind = outermost.offset.saturating_add(1);
        mapping.memory_limit = mapping.memory_limit.max(behind);
        mapping.has_filenames |= frames.iter().any(|frame| frame.file.is_some());
        mapping.has_line_numbers |= frames.iter().any(|frame| frame.line.is_some());
        mapping.has_inline_frames |= frames.len() > 1;
        mapping.id
    }

    fn mapping_of(&mut self, module: &'a str, build_id: Option<&'a str>) -> usize {
        if let Some(index) = self.mapping_ids.get(&(module, build_id)) {
            return *index;
        }
        let index = self.mappings.len();
        let filename = self.text(&names::sanitize(module));
        let build = self.text(&names::sanitize(build_id.unwrap_or_default()));
        self.mappings.push(Mapping {
            id: index as u64 + 1,
            filename,
            build_id: build,
            // No reader is to look for names by itself: addresses are of this kind alone.
            has_functions: true,
            ..Mapping::default()
        });
        self.mapping_ids.insert((module, build_id), index);
        index
    }
}
