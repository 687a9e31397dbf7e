//! Placing uprobes in one process, and taking them away.

use std::{
    ffi::CString,
    fs::File,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
};

use aya::{
    Ebpf,
    programs::{
        UProbe,
        links::Link as _,
        uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeLink, UProbeScope},
    },
};

use super::{ProbeError, ProgramName, Uprobes, object};

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
    Multi(OwnedFd),
    /// A perf event each.
    Single(Vec<UProbeLink>),
}

impl Drop for Attached {
    fn drop(&mut self) {
        if let Self::Single(links) = self {
            for link in links.drain(..) {
                // The file descriptors close whatever this says.
                let _ = link.detach();
            }
        }
    }
}

/// Attaches a program at `points` of `file` in process `pid` only.
///
/// The file is named by our own descriptor, so what is probed is what was
/// parsed, deleted or not, whatever stands at its path by now.
pub fn attach(
    ebpf: &mut Ebpf,
    uprobes: &Uprobes,
    name: ProgramName,
    file: &File,
    points: &[Point],
    pid: u32,
) -> Result<Attached, ProbeError> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let failed = |reason: String| ProbeError::Attach {
        what: name.symbol().to_owned(),
        reason,
    };
    match uprobes {
        Uprobes::Multi(programs) => {
            let program = programs
                .get(name)
                .ok_or_else(|| failed("not loaded".to_owned()))?;
            let path = CString::new(path).map_err(|error| failed(error.to_string()))?;
            let offsets: Vec<u64> = points.iter().map(|point| point.offset).collect();
            let cookies: Vec<u64> = points.iter().map(|point| point.cookie).collect();
            super::sys::link_uprobe_multi(
                program.as_fd(),
                &path,
                &offsets,
                &cookies,
                pid,
                name.at_return(),
            )
            .map(Attached::Multi)
            .map_err(|error| failed(error.to_string()))
        }
        Uprobes::Single => {
            let program: &mut UProbe = object::program(ebpf, name.symbol())?;
            let mut links = Vec::new();
            for point in points {
                let at = UProbeAttachPoint {
                    location: UProbeAttachLocation::AbsoluteOffset(point.offset),
                    cookie: Some(point.cookie),
                };
                let link = program
                    .attach(
                        at,
                        &path,
                        UProbeScope::OneProcess(
                            pid.try_into().map_err(|_| failed("no pid 0".to_owned()))?,
                        ),
                    )
                    .and_then(|id| program.take_link(id))
                    .map_err(|error| failed(object::chain(&error)))?;
                links.push(link);
            }
            Ok(Attached::Single(links))
        }
    }
}
