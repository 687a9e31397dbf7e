//! The loaded object and its maps: everything user space tells the kernel
//! side and reads from it.

use std::{
    collections,
    fs::File,
    os::fd::{AsFd as _, BorrowedFd},
    thread::{self, JoinHandle},
};

use aya::{
    Ebpf,
    maps::{Array, HashMap, Map, MapData, PerCpuArray, RingBuf},
    programs::RawTracePoint,
};
use aya_obj::generated::BPF_EXIST;
use tracer_common::{
    call::ThreadCalls,
    control::{Control, SpaceSettings, Target},
    counter::{COUNTERS, Count, Counter},
    ledger::{Block, BlockKey},
    site::{self, Site, SiteIdentity},
};

use super::{
    Attached, Point, ProbeError, ProgramName, Uprobes, attach,
    object::{self, chain},
    programs::Programs,
    sys,
};

/// How much the kernel side may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Live blocks (96 bytes of kernel memory each, plus 8 to 16 a bucket).
    pub blocks: u32,
    /// Sites (2 KiB each).
    pub sites: u32,
    /// Threads (2 KiB each).
    pub threads: u32,
    /// Address spaces over the whole trace, and processes at one time (100 bytes each).
    pub processes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            blocks: 4 << 20,
            sites: 1 << 16,
            threads: 1 << 16,
            processes: 256,
        }
    }
}

/// The kernel side of one trace. Dropping it detaches everything.
pub struct Kernel {
    ebpf: Ebpf,
    programs: Programs,
    /// By process.
    attached: collections::HashMap<u32, Vec<Attached>>,
    /// Probes of processes that have ended, on their way out.
    releasing: Vec<JoinHandle<()>>,
}

impl Kernel {
    /// Loads object and maps; nothing is attached and the gate is shut.
    pub fn load(limits: &Limits, allow_multi: bool) -> Result<Self, ProbeError> {
        let (ebpf, programs) = object::load(limits, allow_multi)?;
        Ok(Self {
            ebpf,
            programs,
            attached: collections::HashMap::new(),
            releasing: Vec::new(),
        })
    }

    /// How uprobes are attached.
    #[must_use]
    pub const fn uprobes(&self) -> Uprobes {
        self.programs.uprobes()
    }

    /// Attaches what watches the life of targets: exec and the end of threads.
    pub fn attach_life(&mut self) -> Result<(), ProbeError> {
        self.attach_tracepoint("process_exec", "sched_process_exec")?;
        self.attach_tracepoint("process_fork", "sched_process_fork")?;
        self.attach_tracepoint("thread_exit", "sched_process_exit")
    }

    /// Attaches what watches mapping calls. Every process of the host pays for
    /// it at each of its system calls.
    pub fn attach_mappings(&mut self) -> Result<(), ProbeError> {
        // Returns first: what was entered before is not told, and looked for at once.
        self.attach_tracepoint("mapping_exit", "sys_exit")?;
        self.attach_tracepoint("mapping_enter", "sys_enter")
    }

    fn attach_tracepoint(&mut self, name: &str, tracepoint: &str) -> Result<(), ProbeError> {
        let program: &mut RawTracePoint = object::program(&mut self.ebpf, name)?;
        program
            .attach(tracepoint)
            .map(drop)
            .map_err(|error| ProbeError::Attach {
                what: tracepoint.to_owned(),
                reason: chain(&error),
            })
    }

    /// Attaches a program at places of a file, for one process.
    pub fn attach(
        &mut self,
        name: ProgramName,
        file: &File,
        points: &[Point],
        pid: u32,
    ) -> Result<(), ProbeError> {
        if !points.is_empty() {
            let attached = attach::attach(&mut self.programs, name, file, points, pid)?;
            self.attached.entry(pid).or_default().push(attached);
        }
        Ok(())
    }

    /// Takes the uprobes of one process away, behind the caller's back: each
    /// link waits for the kernel's grace period.
    pub fn release(&mut self, pid: u32) {
        self.releasing.retain(|thread| !thread.is_finished());
        if let Some(attached) = self.attached.remove(&pid) {
            self.releasing.push(thread::spawn(move || drop(attached)));
        }
    }

    /// Takes all uprobes away; returns when no program runs any more.
    pub fn detach(&mut self) {
        self.attached.clear();
        for thread in self.releasing.drain(..) {
            // It only drops what it has.
            let _ = thread.join();
        }
    }

    /// Sets the switches.
    pub fn set_control(&mut self, control: &Control) -> Result<(), ProbeError> {
        let mut map: Array<_, Control> = self.map_mut("CONTROL")?;
        map.set(0, control, 0)
            .map_err(|error| map_error("CONTROL", &error))
    }

    /// What the kernel side has of an address space.
    pub fn space(&mut self, space: u32) -> Result<SpaceSettings, ProbeError> {
        let map: Array<_, SpaceSettings> = self.map_mut("SPACE_SETTINGS")?;
        map.get(&space, 0)
            .map_err(|error| map_error("SPACE_SETTINGS", &error))
    }

    /// Sets what is known of an address space.
    pub fn set_space(&mut self, space: u32, settings: &SpaceSettings) -> Result<(), ProbeError> {
        let mut map: Array<_, SpaceSettings> = self.map_mut("SPACE_SETTINGS")?;
        map.set(space, settings, 0)
            .map_err(|error| map_error("SPACE_SETTINGS", &error))
    }

    /// Adds the site of what will have no stack in this address space.
    pub fn add_site_without_stack(&mut self, space: u32) -> Result<(), ProbeError> {
        let identity = SiteIdentity {
            space,
            ..SiteIdentity::default()
        };
        let site = Site {
            identity,
            ..no_site()
        };
        let mut map: HashMap<_, u64, Site> = self.map_mut("SITES")?;
        map.insert(site::without_stack(space), site, 0)
            .map_err(|error| map_error("SITES", &error))
    }

    /// Names a thread group as target.
    pub fn set_target(&mut self, tgid: u32, target: &Target) -> Result<(), ProbeError> {
        let mut map: HashMap<_, u32, Target> = self.map_mut("TARGETS")?;
        map.insert(tgid, target, 0)
            .map_err(|error| map_error("TARGETS", &error))
    }

    /// The same for one that the kernel side has named, if it still lives.
    pub fn update_target(&mut self, tgid: u32, target: &Target) -> Result<(), ProbeError> {
        let mut map: HashMap<_, u32, Target> = self.map_mut("TARGETS")?;
        map.insert(tgid, target, u64::from(BPF_EXIST))
            .map_err(|error| map_error("TARGETS", &error))
    }

    /// The kernel's events; take them once.
    pub fn take_events(&mut self) -> Result<RingBuf<MapData>, ProbeError> {
        self.take_ring("EVENTS")
    }

    /// What targets do to their mappings; take it once.
    pub fn take_mapping_events(&mut self) -> Result<RingBuf<MapData>, ProbeError> {
        self.take_ring("MAPPING_EVENTS")
    }

    fn take_ring(&mut self, name: &'static str) -> Result<RingBuf<MapData>, ProbeError> {
        let map = self.ebpf.take_map(name).ok_or_else(|| no_map(name))?;
        RingBuf::try_from(map).map_err(|error| map_error(name, &error))
    }

    /// Sums of a counter over the CPUs.
    pub fn counts(&self) -> Result<[Count; COUNTERS as usize], ProbeError> {
        let map = self.ebpf.map("COUNTS").ok_or_else(|| no_map("COUNTS"))?;
        let map: PerCpuArray<_, Count> = map
            .try_into()
            .map_err(|error| map_error("COUNTS", &error))?;
        let mut counts = [Count::default(); COUNTERS as usize];
        for (index, sum) in counts.iter_mut().enumerate() {
            let values = map
                .get(&(index as u32), 0)
                .map_err(|error| map_error("COUNTS", &error))?;
            for value in values.iter() {
                sum.calls = sum.calls.wrapping_add(value.calls);
                sum.bytes = sum.bytes.wrapping_add(value.bytes);
            }
        }
        Ok(counts)
    }

    /// Every site. While calls run, a read is approximate.
    pub fn sites(&self, each: impl FnMut(&u64, &Site)) -> Result<(), ProbeError> {
        self.read("SITES", each)
    }

    /// Every live block. While calls run, a read is approximate.
    pub fn blocks(&self, each: impl FnMut(&BlockKey, &Block)) -> Result<(), ProbeError> {
        self.read("LEDGER", each)
    }

    /// Every thread's pending calls.
    pub fn threads(&self, each: impl FnMut(&u64, &ThreadCalls)) -> Result<(), ProbeError> {
        self.read("THREADS", each)
    }

    /// What the kernel knows of a program's runs.
    #[must_use]
    pub fn run_statistics(&self, name: ProgramName) -> sys::ProgramRun {
        let runs = self.programs.copies(name).map(sys::program_run);
        (runs.flatten()).fold(sys::ProgramRun::default(), |sum, run| sys::ProgramRun {
            count: sum.count + run.count,
            ns: sum.ns + run.ns,
            missed: sum.missed + run.missed,
        })
    }

    fn read<K: aya::Pod, V: aya::Pod>(
        &self,
        name: &'static str,
        each: impl FnMut(&K, &V),
    ) -> Result<(), ProbeError> {
        let fd = self
            .ebpf
            .map(name)
            .and_then(map_fd)
            .ok_or_else(|| no_map(name))?;
        sys::read_hash_map(fd, each).map_err(|error| map_error(name, &error))
    }

    fn map_mut<'a, T>(&'a mut self, name: &'static str) -> Result<T, ProbeError>
    where
        T: TryFrom<&'a mut Map, Error = aya::maps::MapError>,
    {
        let map = self.ebpf.map_mut(name).ok_or_else(|| no_map(name))?;
        map.try_into().map_err(|error| map_error(name, &error))
    }
}

/// The sum of one cause.
#[must_use]
pub fn count_of(counts: &[Count; COUNTERS as usize], counter: Counter) -> Count {
    counts[counter as usize]
}

fn no_site() -> Site {
    Site {
        allocated_blocks: 0,
        allocated_bytes: 0,
        freed_blocks: 0,
        freed_bytes: 0,
        identity: SiteIdentity::default(),
        frames: [0; tracer_common::FRAMES_MAX],
    }
}

/// The descriptor of a map of a kind the object has.
pub(super) fn map_fd(map: &Map) -> Option<BorrowedFd<'_>> {
    match map {
        Map::Array(data) | Map::HashMap(data) | Map::PerCpuArray(data) | Map::RingBuf(data) => {
            Some(data.fd().as_fd())
        }
        _ => None,
    }
}

fn no_map(map: &'static str) -> ProbeError {
    ProbeError::Map {
        map,
        reason: "not in the object".to_owned(),
    }
}

fn map_error(map: &'static str, error: &dyn std::error::Error) -> ProbeError {
    ProbeError::Map {
        map,
        reason: chain(error),
    }
}
