//! Sampled page faults of the whole host: one program on the kernel's count of minor
//! faults, and no other map of the object's than it needs (Linux 5.10).
//!
//! That software event costs least: on Linux 6.18 it counts a fault in some 10 ns of the 1,300
//! that one takes, with an empty program on each 61st in 15; the tracepoint
//! `exceptions:page_fault_user` with an empty program takes 40 to 50, as it has no period.

use aya::{
    Ebpf, EbpfLoader,
    programs::{
        PerfEvent, ProgramType,
        perf_event::{PerfEventConfig, PerfEventScope, SamplePolicy, SoftwareEvent},
    },
    sys::BpfHelper,
    util::online_cpus,
};
use tracer_common::fault::{PERIOD, WINDOWS};

use super::{
    ProbeError, UnwindLimits,
    btf::KernelTypes,
    object::{self, Rounds, chain, has, program},
    sockets::SocketGlobals,
};

/// The maps that the program does without; the object cannot be loaded so.
const UNUSED_MAPS: [&str; 13] = [
    "LEDGER",
    "SITES",
    "THREADS",
    "TARGETS",
    "SPACES",
    "FIRST_SPACE",
    "SPACE_SETTINGS",
    "NEW_THREAD",
    "SOCKETS",
    "READERS_SEEN",
    "SENDERS_SEEN",
    "ACCOUNTING",
    "NEW_SOCKET",
];
const UNUSED_RINGS: [&str; 2] = ["EVENTS", "MAPPING_EVENTS"];
const PAGE: u32 = 4096;

/// What the kernel takes for an entry of a hash map beside its key and value
/// (`struct htab_elem`, kernel/bpf/hashtab.c).
const ENTRY_BYTES: u64 = 48;

/// How much the kernel side may keep, and how often it may take a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultLimits {
    /// Samples in a second, of all processors; more for a second where faults begin.
    pub samples: u32,
    /// Bytes of samples until they are taken, a power of two (1 KiB each at most).
    pub ring_bytes: u32,
    /// Processes with unwind tables at one time (20 KiB each).
    pub processes: u32,
    /// JavaScript functions (64 bytes each).
    pub functions: u32,
    /// Unwind tables.
    pub unwind: UnwindLimits,
}

impl Default for FaultLimits {
    fn default() -> Self {
        Self {
            samples: 100,
            ring_bytes: 2 << 20,
            processes: 64,
            functions: 1 << 14,
            unwind: UnwindLimits::of_bytes(24 << 20),
        }
    }
}

impl FaultLimits {
    /// What all maps together take of the kernel's memory when they are full.
    #[must_use]
    pub fn map_bytes(&self) -> u64 {
        use tracer_common::{call::ThreadCalls, unwind::code::SpaceCode, unwind::row};
        let of = |count: u32, bytes: usize| u64::from(count) * bytes as u64;
        let cpus = online_cpus().map_or(1, |cpus| cpus.len()) as u32;
        let [chunks, pages, tables] = [self.unwind.chunks, self.unwind.pages, self.unwind.tables];
        of(chunks, size_of::<tracer_common::unwind::code::Chunk>())
            + of(pages, 8)
            + of(tables, 4)
            + of(row::SPECIALS_MAX, size_of::<row::Special>())
            + of(self.processes, size_of::<SpaceCode>())
            + of(self.functions, 16)
            + u64::from(self.functions + 2 * self.processes) * ENTRY_BYTES
            + u64::from(self.ring_bytes)
            // Of functions that are seen for the first time.
            + (2 << 20)
            + of(cpus, size_of::<ThreadCalls>())
    }

    /// What one processor may take in a window, at least a few.
    fn samples_of_one(&self) -> u32 {
        let cpus = online_cpus().map_or(1, |cpus| cpus.len()) as u32;
        (self.samples / cpus.max(1) / WINDOWS).max(2)
    }
}

/// Loads the maps and the program; nothing is attached.
pub fn load(types: &KernelTypes, limits: &FaultLimits) -> Result<(Ebpf, Rounds), ProbeError> {
    let [mm, group_leader, start_time, exec, utask] = types.offsets(
        "task_struct",
        [
            "mm",
            "group_leader",
            "start_boottime",
            "self_exec_id",
            "utask",
        ],
    )?;
    let [returns] = types.offsets("uprobe_task", ["return_instances"])?;
    let [return_stack, return_address, return_next] =
        types.offsets("return_instance", ["stack", "orig_ret_vaddr", "next"])?;
    let sockets = SocketGlobals::of(types);
    let typed_task = u32::from(has(
        ProgramType::KProbe,
        BpfHelper::BPF_FUNC_get_current_task_btf,
    ));
    let budget = limits.samples_of_one();
    object::lift_memory_limit();
    let bytes = object::object()?;
    let mut loader = EbpfLoader::new();
    sockets.set(&mut loader);
    loader
        .btf(None)
        .override_global("MM_OFFSET", &mm, true)
        .override_global("HAS_TYPED_TASK", &typed_task, true)
        .override_global("GROUP_LEADER_OFFSET", &group_leader, true)
        .override_global("START_TIME_OFFSET", &start_time, true)
        .override_global("EXEC_OFFSET", &exec, true)
        .override_global("UTASK_OFFSET", &utask, true)
        .override_global("RETURNS_OFFSET", &returns, true)
        .override_global("RETURN_STACK_OFFSET", &return_stack, true)
        .override_global("RETURN_ADDRESS_OFFSET", &return_address, true)
        .override_global("RETURN_NEXT_OFFSET", &return_next, true)
        .override_global("FAULT_BUDGET", &budget, true)
        .map_max_entries("FAULT_SPACES", limits.processes)
        .map_max_entries("FAULTS", limits.ring_bytes)
        // With that of processes without tables.
        .map_max_entries("SPACE_CODE", limits.processes + 1)
        .map_max_entries("FUNCTIONS", limits.functions)
        .map_max_entries("PAGES", limits.unwind.pages)
        .map_max_entries("ROWS", limits.unwind.chunks)
        .map_max_entries("TABLE_USES", limits.unwind.tables);
    for map in UNUSED_MAPS {
        loader.map_max_entries(map, 1);
    }
    for ring in UNUSED_RINGS {
        loader.map_max_entries(ring, PAGE);
    }
    let mut ebpf = loader.load(&bytes).map_err(object::load_error)?;
    let rounds = Rounds::of_this_kernel();
    let name = symbol(rounds);
    let program: &mut PerfEvent = program(&mut ebpf, name)?;
    program
        .load()
        .map_err(|error| ProbeError::Load(format!("{name}: {}", chain(&error))))?;
    for map in UNUSED_MAPS.iter().chain(&UNUSED_RINGS) {
        drop(ebpf.take_map(map));
    }
    Ok((ebpf, rounds))
}

/// Attaches it to every processor that is online.
pub fn attach(ebpf: &mut Ebpf, rounds: Rounds) -> Result<(), ProbeError> {
    let failed = |reason: String| ProbeError::Attach {
        what: "page faults".to_owned(),
        reason,
    };
    let program: &mut PerfEvent = program(ebpf, symbol(rounds))?;
    let cpus = online_cpus().map_err(|(path, error)| failed(format!("{path}: {error}")))?;
    for cpu in cpus {
        program
            .attach(
                PerfEventConfig::Software(SoftwareEvent::PageFaultsMin),
                PerfEventScope::AllProcessesOneCpu { cpu },
                SamplePolicy::Period(PERIOD),
                false,
            )
            .map_err(|error| failed(chain(&error)))?;
    }
    Ok(())
}

/// The program that goes round in this way.
pub const fn symbol(rounds: Rounds) -> &'static str {
    match rounds {
        Rounds::Loop => "page_fault",
        Rounds::Bounded => "page_fault_bounded",
    }
}
