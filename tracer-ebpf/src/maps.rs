//! The maps, and counting. Their sizes are set by user space when it loads
//! the object; the numbers here are placeholders.

use core::intrinsics::{AtomicOrdering, atomic_xadd};

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf},
};
use tracer_common::{
    call::ThreadCalls,
    control::{BoundSpace, Control, SpaceSettings, Target},
    counter::{COUNTERS, Count, Counter},
    fault::{FaultCpu, FaultSpace},
    javascript::Identity,
    ledger::{Block, BlockKey},
    site::Site,
    socket::{PendingAccounts, RECENT_CALLS, RecentReader, RecentSender, SocketCalls},
    unwind::{
        code::{Chunk, Page, SpaceCode},
        row::{SPECIALS_MAX, Special},
    },
};

#[map]
pub static CONTROL: Array<Control> = Array::with_max_entries(1, 0);

/// Processes to trace, by thread group.
#[map]
pub static TARGETS: HashMap<u32, Target> = HashMap::with_max_entries(256, BPF_F_NO_PREALLOC);

/// Address spaces under trace: address of `struct mm_struct` → number.
#[map]
pub static SPACES: HashMap<u64, u32> = HashMap::with_max_entries(256, BPF_F_NO_PREALLOC);

/// The address space that was bound first: one compare instead of a look-up
/// in [`SPACES`] where there is one target, as nearly always.
#[map]
pub static FIRST_SPACE: Array<BoundSpace> = Array::with_max_entries(1, 0);

/// By an address space's number.
#[map]
pub static SPACE_SETTINGS: Array<SpaceSettings> = Array::with_max_entries(256, 0);

/// Outstanding blocks.
#[map]
pub static LEDGER: HashMap<BlockKey, Block> = HashMap::with_max_entries(1 << 22, BPF_F_NO_PREALLOC);

/// Sites, by hash.
#[map]
pub static SITES: HashMap<u64, Site> = HashMap::with_max_entries(1 << 16, BPF_F_NO_PREALLOC);

/// Pending calls, by `bpf_get_current_pid_tgid`.
#[map]
pub static THREADS: HashMap<u64, ThreadCalls> =
    HashMap::with_max_entries(1 << 16, BPF_F_NO_PREALLOC);

/// What a new thread's record is copied from: too large for the BPF stack.
#[map]
pub static NEW_THREAD: Array<ThreadCalls> = Array::with_max_entries(1, 0);

/// Where the code of an address space finds its tables, by the space's number.
#[map]
pub static SPACE_CODE: HashMap<u32, SpaceCode> = HashMap::with_max_entries(256, BPF_F_NO_PREALLOC);

/// The pages of all unwind tables.
#[map]
pub static PAGES: Array<Page> = Array::with_max_entries(1, 0);

/// The rows of all unwind tables, in chunks.
#[map]
pub static ROWS: Array<Chunk> = Array::with_max_entries(1, 0);

/// The special rules of all unwind tables.
#[map]
pub static SPECIALS: Array<Special> = Array::with_max_entries(SPECIALS_MAX, 0);

/// When each unwind table was last used, as [`Control::now_mark`].
#[map]
pub static TABLE_USES: Array<u32> = Array::with_max_entries(1, 0);

/// See the feature in Cargo.toml.
#[cfg(feature = "per-cpu-scratch")]
#[map]
pub static SCRATCH: PerCpuArray<ThreadCalls> = PerCpuArray::with_max_entries(1, 0);

#[map]
pub static COUNTS: PerCpuArray<Count> = PerCpuArray::with_max_entries(COUNTERS, 0);

#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 18, 0);

/// What targets do to their mappings.
#[map]
pub static MAPPING_EVENTS: RingBuf = RingBuf::with_byte_size(1 << 22, 0);

/// JavaScript functions that were told of, by [`tracer_common::javascript::FunctionKey`].
#[map]
pub static FUNCTIONS: HashMap<u64, Identity> =
    HashMap::with_max_entries(1 << 16, BPF_F_NO_PREALLOC);

/// Those at their first sight.
#[map]
pub static FUNCTIONS_SEEN: RingBuf = RingBuf::with_byte_size(1 << 21, 0);

/// Who did what to the sockets of targets, by cookie or inode.
#[map]
pub static SOCKETS: HashMap<u64, SocketCalls> =
    HashMap::with_max_entries(1 << 18, BPF_F_NO_PREALLOC);

/// Readers whose stacks were taken a short while ago, by the socket's cookie.
#[map]
pub static READERS_SEEN: Array<RecentReader> = Array::with_max_entries(RECENT_CALLS, 0);

/// Senders, the same.
#[map]
pub static SENDERS_SEEN: Array<RecentSender> = Array::with_max_entries(RECENT_CALLS, 0);

/// What a new socket's record is copied from.
#[map]
pub static NEW_SOCKET: Array<SocketCalls> = Array::with_max_entries(1, 0);

/// Calls of the kernel's socket accounting that have not returned, by thread of the
/// whole host: those that did not call for the longest time make room.
#[map]
pub static ACCOUNTING: LruHashMap<u64, PendingAccounts> = LruHashMap::with_max_entries(1 << 12, 0);

/// What is kept of page faults, by CPU.
#[map]
pub static FAULT_CPUS: PerCpuArray<FaultCpu> = PerCpuArray::with_max_entries(1, 0);

/// Where the stack of a page fault is taken. By CPU: a program at a software event runs
/// with preemption disabled, and on one CPU there is one at a time.
#[map]
pub static FAULT_SCRATCH: PerCpuArray<ThreadCalls> = PerCpuArray::with_max_entries(1, 0);

/// Processes whose code has unwind tables, by thread group; for page faults.
#[map]
pub static FAULT_SPACES: HashMap<u32, FaultSpace> = HashMap::with_max_entries(1, BPF_F_NO_PREALLOC);

/// Sampled page faults.
#[map]
pub static FAULTS: RingBuf = RingBuf::with_byte_size(1 << 12, 0);

/// Adds to a counter in place.
///
/// # Safety
/// `counter` must point into a map value.
#[inline(always)]
pub unsafe fn add(counter: *mut u64, amount: u64) {
    // The target claims no compare-and-swap, so `core` hides `AtomicU64::fetch_add`;
    // with its result unused this is BPF_XADD, which every kernel has.
    // SAFETY: map values are 8-byte aligned and outlive the program run.
    let _ = unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(counter, amount) };
}

/// Counts one cause.
#[inline(always)]
pub fn count(counter: Counter, calls: u64, bytes: u64) {
    if let Some(count) = COUNTS.get_ptr_mut(counter as u32) {
        // SAFETY: a map value.
        unsafe {
            add(&raw mut (*count).calls, calls);
            if bytes != 0 {
                add(&raw mut (*count).bytes, bytes);
            }
        }
    }
}
