//! The second opinion: what the preloaded counting library saw.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tracer::model::Counts;

use super::{Build, build_with};

/// A file that the counting library fills.
pub struct Count(PathBuf);

impl Count {
    /// Counts the program of `command` in `directory`: the same command, by way
    /// of `env`, so that the library is in no other program.
    #[must_use]
    pub fn of(directory: &Path, command: &Command) -> (Self, Command) {
        let library = build_with(&Build {
            name: "count_preload",
            variant: ".so",
            flags: &["-shared", "-fPIC"],
        });
        let file = directory.join("counts");
        let mut counted = Command::new("/usr/bin/env");
        let variable = |name: &str, value: &Path| {
            let mut variable = OsStr::new(name).to_owned();
            variable.push(value);
            variable
        };
        counted
            .arg(variable("COUNT_FILE=", &file))
            .arg(variable("LD_PRELOAD=", &library))
            .arg(command.get_program())
            .args(command.get_args());
        (Self(file), counted)
    }

    /// What was counted, once the program has ended.
    #[must_use]
    pub fn read(&self) -> Counts {
        let bytes = fs::read(&self.0).unwrap();
        let numbers: Vec<u64> = bytes
            .chunks_exact(8)
            .map(|number| u64::from_ne_bytes(number.try_into().unwrap()))
            .collect();
        let [
            allocated_blocks,
            allocated_bytes,
            freed_blocks,
            freed_bytes,
            unmatched,
            no_room,
        ] = numbers[..]
        else {
            panic!("the counting library wrote {numbers:?}");
        };
        assert_eq!((unmatched, no_room), (0, 0), "its own count has gaps");
        Counts::new(allocated_blocks, allocated_bytes, freed_blocks, freed_bytes)
    }
}
