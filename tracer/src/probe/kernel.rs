//! The loaded object and its maps: everything user space tells the kernel
//! side and reads from it.

use std::{
    os::fd::{AsFd as _, BorrowedFd},
    thread::JoinHandle,
};

use aya::{
    Ebpf,
    maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, RingBuf},
    programs::RawTracePoint,
};
use aya_obj::generated::BPF_EXIST;
use tracer_common::{
    call::ThreadCalls,
    control::{Control, SpaceSettings, Target},
    counter::{COUNTERS, Count, Counter},
    ledger::{Block, BlockKey},
    site::{self, Site, SiteIdentity},
    unwind::{
        code::{Chunk, Page, SpaceCode},
        row::Special,
    },
};

use super::{
    KernelTypes, Limits, ProbeError, ProgramName, Uprobes,
    object::{self, Rounds, chain},
    programs::Programs,
    sockets::{CallsMap, Switched},
    sys,
};

mod faults;
mod groups;
mod socket_calls;

pub use groups::Group;
use groups::Placed;

/// The kernel side of one trace. Dropping it detaches everything.
pub struct Kernel {
    ebpf: Ebpf,
    programs: Programs,
    rounds: Rounds,
    attached: Vec<Placed>,
    /// Probes on their way out.
    releasing: Vec<JoinHandle<()>>,
    socket_calls: Option<Switched>,
}

impl Kernel {
    /// Loads object and maps; nothing is attached and the gate is shut.
    pub fn load(
        types: &KernelTypes,
        limits: &Limits,
        allow_multi: bool,
    ) -> Result<Self, ProbeError> {
        let (ebpf, programs, rounds) = object::load(types, limits, allow_multi)?;
        Ok(Self {
            ebpf,
            programs,
            rounds,
            attached: Vec::new(),
            releasing: Vec::new(),
            socket_calls: None,
        })
    }

    /// How uprobes are attached.
    #[must_use]
    pub const fn uprobes(&self) -> Uprobes {
        self.programs.uprobes()
    }

    /// Whether JavaScript functions are told apart on this kernel.
    #[must_use]
    pub fn tells_functions(&self) -> bool {
        self.rounds == Rounds::Loop
    }

    /// Attaches what watches the life of targets: exec and the end of threads.
    pub fn attach_life(&mut self) -> Result<(), ProbeError> {
        let [exec, fork, exit, _, _] = self.rounds.tracepoints();
        [exec, fork, exit]
            .into_iter()
            .try_for_each(|what| self.attach_tracepoint(what))
    }

    /// Attaches what watches mapping calls. Every process of the host pays for
    /// it at each of its system calls.
    pub fn attach_mappings(&mut self) -> Result<(), ProbeError> {
        // Returns first: what was entered before is not told, and looked for at once.
        let [_, _, _, enter, exit] = self.rounds.tracepoints();
        self.attach_tracepoint(exit)?;
        self.attach_tracepoint(enter)
    }

    fn attach_tracepoint(
        &mut self,
        (name, tracepoint): (&'static str, &'static str),
    ) -> Result<(), ProbeError> {
        let program: &mut RawTracePoint = object::program(&mut self.ebpf, name)?;
        program
            .attach(tracepoint)
            .map(drop)
            .map_err(|error| ProbeError::Attach {
                what: tracepoint.to_owned(),
                reason: chain(&error),
            })
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

    /// Sets where the code of an address space finds its unwind tables; without,
    /// no stack can be taken.
    pub fn set_space_code(&mut self, space: u32, code: &SpaceCode) -> Result<(), ProbeError> {
        let mut map: HashMap<_, u32, SpaceCode> = self.map_mut("SPACE_CODE")?;
        map.insert(space, code, 0)
            .map_err(|error| map_error("SPACE_CODE", &error))
    }

    /// Forgets it: no program runs in that address space any more.
    pub fn forget_space_code(&mut self, space: u32) -> Result<(), ProbeError> {
        let mut map: HashMap<_, u32, SpaceCode> = self.map_mut("SPACE_CODE")?;
        match map.remove(&space) {
            Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
            Err(error) => Err(map_error("SPACE_CODE", &error)),
        }
    }

    /// Writes a chunk of rows.
    pub fn set_rows(&mut self, chunk: u32, rows: &Chunk) -> Result<(), ProbeError> {
        let mut map: Array<_, Chunk> = self.map_mut("ROWS")?;
        map.set(chunk, rows, 0)
            .map_err(|error| map_error("ROWS", &error))
    }

    /// Writes where the rows of pages stand, from one page on.
    pub fn set_pages(&mut self, first: u32, pages: &[Page]) -> Result<(), ProbeError> {
        let mut map: Array<_, u64> = self.map_mut("PAGES")?;
        (first..).zip(pages).try_for_each(|(number, page)| {
            map.set(number, page.0, 0)
                .map_err(|error| map_error("PAGES", &error))
        })
    }

    /// Writes a special rule.
    pub fn set_special(&mut self, number: u16, special: &Special) -> Result<(), ProbeError> {
        let mut map: Array<_, Special> = self.map_mut("SPECIALS")?;
        map.set(u32::from(number), special, 0)
            .map_err(|error| map_error("SPECIALS", &error))
    }

    /// When a table was last used, as [`Control::now_mark`].
    pub fn table_use(&mut self, table: u32) -> Result<u32, ProbeError> {
        let map: Array<_, u32> = self.map_mut("TABLE_USES")?;
        map.get(&table, 0)
            .map_err(|error| map_error("TABLE_USES", &error))
    }

    /// Adds the site of what will have no stack in this address space; false: the table
    /// is full, and such calls will be counted as lost.
    pub fn add_site_without_stack(&mut self, space: u32) -> Result<bool, ProbeError> {
        let identity = SiteIdentity {
            space,
            ..SiteIdentity::default()
        };
        let site = Site {
            identity,
            ..no_site()
        };
        let mut map: HashMap<_, u64, Site> = self.map_mut("SITES")?;
        match map.insert(site::without_stack(space), site, 0) {
            Ok(()) => Ok(true),
            // What a hash map says that has all the entries it may have.
            Err(MapError::SyscallError(error))
                if error.io_error.raw_os_error() == Some(libc::E2BIG) =>
            {
                Ok(false)
            }
            Err(error) => Err(map_error("SITES", &error)),
        }
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

    /// JavaScript functions, each at its first sight; take them once.
    pub fn take_functions(&mut self) -> Result<RingBuf<MapData>, ProbeError> {
        self.take_ring("FUNCTIONS_SEEN")
    }

    /// Who did what to targets' sockets, by cookie or inode; take it once.
    pub fn take_sockets(&mut self) -> Result<CallsMap, ProbeError> {
        let map = self.ebpf.take_map("SOCKETS");
        map.map(CallsMap::new).ok_or_else(|| no_map("SOCKETS"))
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

    pub(super) fn read<K: aya::Pod, V: aya::Pod>(
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
        T: TryFrom<&'a mut Map, Error = MapError>,
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
        Map::Array(data)
        | Map::HashMap(data)
        | Map::LruHashMap(data)
        | Map::PerCpuArray(data)
        | Map::RingBuf(data) => Some(data.fd().as_fd()),
        _ => None,
    }
}

fn no_map(map: &'static str) -> ProbeError {
    let reason = "not in the object".to_owned();
    ProbeError::Map { map, reason }
}

fn map_error(map: &'static str, error: &dyn std::error::Error) -> ProbeError {
    ProbeError::Map {
        map,
        reason: chain(error),
    }
}
