//! What a tracer may leave behind in the kernel and in the process it traced.

use std::{
    collections::BTreeSet,
    fs,
    os::{fd::OwnedFd, unix::fs::FileExt as _},
    process::Command,
};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use super::wait_until;

/// Ids of the eBPF programs, links and maps that a process holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BpfObjects {
    /// Programs.
    pub programs: BTreeSet<u64>,
    /// Links.
    pub links: BTreeSet<u64>,
    /// Maps.
    pub maps: BTreeSet<u64>,
}

/// What bpftool lists. It fails when an object goes while it looks, as those
/// of other tests do all the time.
fn list(kind: &str) -> Vec<u8> {
    let mut listing = Vec::new();
    wait_until("bpftool lists", || {
        let output = Command::new("bpftool").args(["-j", kind, "list"]).output();
        let output = output.expect("bpftool is needed");
        listing = output.stdout;
        output.status.success()
    });
    listing
}

impl BpfObjects {
    /// Those of them that the kernel still has, as bpftool lists them.
    #[must_use]
    pub fn remaining(&self) -> Self {
        let listed = |kind: &str| -> BTreeSet<u64> {
            let listing: serde_json::Value = serde_json::from_slice(&list(kind)).unwrap();
            let objects = listing.as_array().cloned().unwrap_or_default();
            objects
                .iter()
                .filter_map(|one| one["id"].as_u64())
                .collect()
        };
        Self {
            programs: &self.programs & &listed("prog"),
            links: &self.links & &listed("link"),
            maps: &self.maps & &listed("map"),
        }
    }
}

/// What a process holds, by its descriptors.
#[must_use]
pub fn bpf_objects(pid: u32) -> BpfObjects {
    let mut objects = BpfObjects::default();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))
        .unwrap()
        .flatten()
    {
        let Ok(text) = fs::read_to_string(entry.path()) else {
            continue;
        };
        let field = |name: &str| -> Option<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().parse().ok()
        };
        if let Some(link) = field("link_id:") {
            objects.links.insert(link);
        } else if let Some(map) = field("map_id:") {
            objects.maps.insert(map);
        } else if let Some(program) = field("prog_id:") {
            objects.programs.insert(program);
        }
    }
    objects
}

/// The eBPF links of a type that a process holds, which last as long as this does.
#[must_use]
pub fn hold_bpf_links(pid: u32, kind: &str) -> Vec<OwnedFd> {
    let process = Pid::from_raw(pid as i32).unwrap();
    let process = pidfd_open(process, PidfdFlags::empty()).unwrap();
    let descriptors = fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap();
    let of_kind = descriptors.flatten().filter_map(|entry| {
        let text = fs::read_to_string(entry.path()).ok()?;
        let is_it =
            |line: &str| (line.strip_prefix("link_type:")).is_some_and(|it| it.trim() == kind);
        text.lines().any(is_it).then_some(())?;
        entry.file_name().to_str()?.parse().ok()
    });
    let hold = |descriptor| pidfd_getfd(&process, descriptor, PidfdGetfdFlags::empty()).ok();
    of_kind.filter_map(hold).collect()
}

/// Addresses at which the code of a process's libc is not what its file says:
/// where breakpoints stand.
#[must_use]
pub fn altered_code(pid: u32) -> Vec<u64> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut altered = Vec::new();
    for line in maps.lines().filter(|line| line.contains("/libc.so.6")) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if !fields[1].contains('x') {
            continue;
        }
        let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
        let (start, end) = fields[0].split_once('-').unwrap();
        let (start, end) = (number(start), number(end));
        let mut in_memory = vec![0; (end - start) as usize];
        let mut in_file = in_memory.clone();
        memory.read_exact_at(&mut in_memory, start).unwrap();
        let file = fs::File::open(fields[5]).unwrap();
        let offset = number(fields[2]);
        // The last page may reach beyond the end of the file.
        let length = file.metadata().unwrap().len().saturating_sub(offset);
        let length = in_file.len().min(length as usize);
        file.read_exact_at(&mut in_file[..length], offset).unwrap();
        altered.extend(
            (0..length)
                .filter(|byte| in_memory[*byte] != in_file[*byte])
                .map(|byte| start + byte as u64),
        );
    }
    altered
}
