//! The tables of a message, from those of a pprof profile: there ids begin at 1 and 0 is
//! none, here index 0 is empty, so that an id is an index.

use std::collections::HashMap;

use super::message::{
    AnyValue, Function, KeyValueAndUnit, Line, Link, Location, Mapping, ProfilesDictionary, Stack,
};
use crate::render::pprof::message::{self as pprof, Label};

/// A GNU build id, as the semantic conventions name it.
const BUILD_ID: &str = "process.executable.build_id.gnu";

/// The dictionary of a message. Grows by stacks and attributes.
pub struct Dictionary {
    made: ProfilesDictionary,
    stacks: HashMap<Vec<u64>, i32>,
    labels: HashMap<Label, i32>,
}

impl Dictionary {
    /// `None` where an index has more than 32 bits.
    pub fn of(profile: &pprof::Profile) -> Option<Self> {
        let index = |id: u64| i32::try_from(id).ok();
        let text = |id: i64| i32::try_from(id).ok();
        let mut made = ProfilesDictionary {
            mapping_table: vec![Mapping::default()],
            location_table: vec![Location::default()],
            function_table: vec![Function::default()],
            link_table: vec![Link {
                trace_id: vec![0; 16],
                span_id: vec![0; 8],
            }],
            string_table: profile.string_table.clone(),
            attribute_table: vec![KeyValueAndUnit::default()],
            stack_table: vec![Stack::default()],
        };
        let build_id_key = i32::try_from(made.string_table.len()).ok()?;
        made.string_table.push(BUILD_ID.to_owned());
        for mapping in &profile.mapping {
            let build_id = usize::try_from(mapping.build_id).ok()?;
            let build_id = profile
                .string_table
                .get(build_id)
                .filter(|it| !it.is_empty());
            let mut attribute_indices = Vec::new();
            if let Some(build_id) = build_id {
                attribute_indices.push(i32::try_from(made.attribute_table.len()).ok()?);
                made.attribute_table.push(KeyValueAndUnit {
                    key_strindex: build_id_key,
                    value: Some(AnyValue::text(build_id)),
                });
            }
            made.mapping_table.push(Mapping {
                memory_start: mapping.memory_start,
                memory_limit: mapping.memory_limit,
                filename_strindex: text(mapping.filename)?,
                attribute_indices,
            });
        }
        for function in &profile.function {
            made.function_table.push(Function {
                name_strindex: text(function.name)?,
                system_name_strindex: text(function.system_name)?,
                filename_strindex: text(function.filename)?,
            });
        }
        for location in &profile.location {
            let line = |line: &pprof::Line| {
                Some(Line {
                    function_index: index(line.function_id)?,
                    line: line.line,
                })
            };
            made.location_table.push(Location {
                mapping_index: index(location.mapping_id)?,
                address: location.address,
                lines: location.line.iter().map(line).collect::<Option<_>>()?,
            });
        }
        Some(Self {
            made,
            stacks: HashMap::new(),
            labels: HashMap::new(),
        })
    }

    pub fn stack(&mut self, locations: &[u64]) -> Option<i32> {
        if let Some(index) = self.stacks.get(locations) {
            return Some(*index);
        }
        let index = i32::try_from(self.made.stack_table.len()).ok()?;
        let indices = locations.iter().map(|id| i32::try_from(*id).ok());
        self.made.stack_table.push(Stack {
            location_indices: indices.collect::<Option<_>>()?,
        });
        self.stacks.insert(locations.to_vec(), index);
        Some(index)
    }

    pub fn label(&mut self, label: &Label) -> Option<i32> {
        if let Some(index) = self.labels.get(label) {
            return Some(*index);
        }
        let index = i32::try_from(self.made.attribute_table.len()).ok()?;
        let text = usize::try_from(label.str).ok()?;
        let value = match label.num {
            0 => AnyValue::text(self.made.string_table.get(text)?),
            number => AnyValue::int(number),
        };
        self.made.attribute_table.push(KeyValueAndUnit {
            key_strindex: i32::try_from(label.key).ok()?,
            value: Some(value),
        });
        self.labels.insert(*label, index);
        Some(index)
    }

    pub fn finish(self) -> ProfilesDictionary {
        self.made
    }
}
