//! Our programs loaded for `uprobe_multi` links, which aya 0.14 cannot do.
//!
//! One such link holds many places of a file and goes within one RCU wait;
//! detaching as many single uprobes takes one each (16: about 2 s). aya 0.16
//! brings this natively: delete this file when the toolchain allows it.

use std::{
    collections::HashSet,
    os::fd::{AsRawFd as _, OwnedFd},
};

use aya::Ebpf;

use super::{ProbeError, kernel::map_fd, object::ProgramName, sys};

/// The programs, loaded for multi links, sharing the maps of `ebpf`.
pub struct MultiPrograms {
    programs: Vec<(ProgramName, OwnedFd)>,
}

impl MultiPrograms {
    /// Loads `names` out of `object` a second time. An error here means that
    /// the kernel has no multi links (before Linux 6.6).
    pub fn load(object: &[u8], ebpf: &Ebpf, names: &[ProgramName]) -> Result<Self, ProbeError> {
        let failed = |error: String| ProbeError::Load(error);
        let mut parsed =
            aya_obj::Object::parse(object).map_err(|error| failed(error.to_string()))?;
        let text_sections: HashSet<usize> = parsed
            .functions
            .keys()
            .map(|(section, _)| *section)
            .collect();
        let maps = std::mem::take(&mut parsed.maps);
        let mut with_fds = Vec::new();
        for (name, map) in &maps {
            let fd = ebpf
                .map(name)
                .and_then(map_fd)
                .map(|fd| fd.as_raw_fd())
                .ok_or_else(|| failed(format!("no map {name}")))?;
            with_fds.push((name.as_str(), fd, map));
        }
        parsed
            .relocate_maps(with_fds.into_iter(), &text_sections)
            .map_err(|error| failed(error.to_string()))?;
        parsed
            .relocate_calls(&text_sections)
            .map_err(|error| failed(error.to_string()))?;
        parsed.sanitize_functions(aya::features());
        let mut programs = Vec::new();
        for name in names {
            let function = parsed
                .programs
                .get(name.symbol())
                .and_then(|program| parsed.functions.get(&program.function_key()))
                .ok_or_else(|| failed(format!("no program {}", name.symbol())))?;
            let fd = sys::load_uprobe_multi(name.symbol(), &function.instructions)
                .map_err(|(error, log)| failed(format!("{}: {error}\n{log}", name.symbol())))?;
            programs.push((*name, fd));
        }
        Ok(Self { programs })
    }

    /// The descriptor of a program.
    pub fn get(&self, name: ProgramName) -> Option<&OwnedFd> {
        self.programs
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, fd)| fd)
    }
}
