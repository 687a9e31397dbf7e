//! Placing uprobes in one process, and taking them away.

use std::{
    ffi::CString,
    fs::File,
    os::fd::{AsRawFd as _, OwnedFd},
};

use super::{
    ProbeError, ProgramName,
    perf::{self, Uprobe},
    programs::{Programs, Uprobes},
    sys,
};

/// A place for a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// Offset of the instruction in the file.
    pub offset: u64,
    /// What the program is told: the source.
    pub cookie: u64,
}

/// Probes that are in place. Dropping detaches them; so does the end of
/// memtrace, however it ends, because all hangs on file descriptors.
pub enum Attached {
    /// A multi link.
    Multi {
        /// The link.
        _link: OwnedFd,
    },
    /// A perf event each.
    Single {
        /// The events.
        _events: Vec<Uprobe>,
    },
}

/// Attaches a program at `points` of `file` in process `pid` only.
///
/// The file is named by our own descriptor, so what is probed is what was
/// parsed, deleted or not, whatever stands at its path by now.
pub fn attach(
    programs: &mut Programs,
    name: ProgramName,
    file: &File,
    points: &[Point],
    pid: u32,
) -> Result<Attached, ProbeError> {
    let failed = |reason: String| ProbeError::Attach {
        what: name.symbol().to_owned(),
        reason,
    };
    let path = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))
        .map_err(|error| failed(error.to_string()))?;
    let uprobes = programs.uprobes();
    if uprobes == Uprobes::Multi {
        let program = programs.get(name, 0)?;
        let offsets: Vec<u64> = points.iter().map(|point| point.offset).collect();
        let cookies: Vec<u64> = points.iter().map(|point| point.cookie).collect();
        let at_return = name.at_return();
        return sys::link_uprobe_multi(program, &path, &offsets, &cookies, pid, at_return)
            .map(|_link| Attached::Multi { _link })
            .map_err(|error| failed(error.to_string()));
    }
    let mut events = Vec::with_capacity(points.len());
    for point in points {
        let program = programs.get(name, point.cookie)?;
        let cookie = (uprobes == Uprobes::Single).then_some(point.cookie);
        let event = perf::attach(program, &path, point.offset, cookie, pid, name.at_return())
            .map_err(|error| failed(error.to_string()))?;
        events.push(event);
    }
    Ok(Attached::Single { _events: events })
}
