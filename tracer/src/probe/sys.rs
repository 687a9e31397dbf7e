//! bpf(2) where aya 0.14 has no call for it: programs of our own making, uprobe links,
//! and batch reads of hash maps.

use std::{
    ffi::CStr,
    io,
    mem::size_of,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd},
};

use tokio::io::{Interest, unix::AsyncFd};

use aya_obj::generated::{
    bpf_attach_type, bpf_attr, bpf_cmd, bpf_insn, bpf_prog_info, bpf_prog_type,
};

/// `BPF_F_UPROBE_MULTI_RETURN` (include/uapi/linux/bpf.h).
const UPROBE_MULTI_RETURN: u32 = 1;

/// Of a `struct bpf_func_info`.
const FUNCTION_BYTES: usize = 8;

/// bpf(2).
///
/// # Safety
/// Every pointer in `attributes` must be valid for what `command` does with it.
unsafe fn bpf(command: bpf_cmd, attributes: &mut bpf_attr) -> io::Result<i64> {
    // SAFETY: the caller's.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as libc::c_long,
            &raw mut *attributes,
            size_of::<bpf_attr>(),
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Watches a descriptor for being readable. Within a tokio runtime only.
pub fn watch<T: AsFd + AsRawFd>(source: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: what is `AsFd` keeps its descriptor open and the same for as
    // long as it lives, and the `AsyncFd` owns it.
    unsafe { AsyncFd::register_with_interest(source, Interest::READABLE) }.map_err(Into::into)
}

fn zeroed() -> bpf_attr {
    // SAFETY: a union of integers; the kernel demands zeroes in what is unused.
    unsafe { std::mem::zeroed() }
}

/// What a system call returned that makes a descriptor.
pub(super) fn owned_or_error(result: libc::c_long) -> io::Result<OwnedFd> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(owned(result))
}

fn owned(fd: i64) -> OwnedFd {
    // SAFETY: a descriptor the kernel has just returned to us.
    unsafe { OwnedFd::from_raw_fd(fd as i32) }
}

/// Tells the kernel of types (`BPF_BTF_LOAD`, Linux 4.18).
pub fn load_types(types: &[u8]) -> io::Result<OwnedFd> {
    let mut attributes = zeroed();
    // SAFETY: plain writes to the member that BPF_BTF_LOAD reads.
    let load = unsafe { &mut attributes.__bindgen_anon_7 };
    load.btf = types.as_ptr() as u64;
    load.btf_size = types.len() as u32;
    // SAFETY: the types outlive the call.
    unsafe { bpf(bpf_cmd::BPF_BTF_LOAD, &mut attributes) }.map(owned)
}

/// A program to load.
#[derive(Clone, Copy)]
pub struct Program<'a> {
    /// Told to whoever lists programs.
    pub name: &'a str,
    /// All functions, one after the other.
    pub instructions: &'a [bpf_insn],
    /// What [`load_types`] gave, where the program has functions that helpers call.
    pub types: Option<BorrowedFd<'a>>,
    /// `struct bpf_func_info` for each function; empty without types.
    pub functions: &'a [u8],
}

/// What a program is to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A perf event of an uprobe.
    Uprobe,
    /// A `uprobe_multi` link (Linux 6.6).
    UprobeMulti,
    /// An iterator: the kernel's number of the type of `bpf_iter_…`.
    Iterator(u32),
}

/// Loads a program. The error carries the verifier's last words.
pub fn load_program(program: &Program<'_>, place: Place) -> Result<OwnedFd, (io::Error, String)> {
    match load_with_log(program, place, &mut []) {
        Ok(fd) => Ok(fd),
        Err(_) => {
            let mut log = vec![0u8; 1 << 20];
            load_with_log(program, place, &mut log).map_err(|error| {
                let text = CStr::from_bytes_until_nul(&log)
                    .map(CStr::to_string_lossy)
                    .unwrap_or_default();
                let tail: Vec<&str> = text.lines().rev().take(8).collect();
                (error, tail.into_iter().rev().collect::<Vec<_>>().join("\n"))
            })
        }
    }
}

fn load_with_log(program: &Program<'_>, place: Place, log: &mut [u8]) -> io::Result<OwnedFd> {
    let mut attributes = zeroed();
    // SAFETY: plain writes to the member that BPF_PROG_LOAD reads.
    let load = unsafe { &mut attributes.__bindgen_anon_3 };
    load.prog_type = bpf_prog_type::BPF_PROG_TYPE_KPROBE as u32;
    match place {
        Place::Uprobe => {}
        Place::UprobeMulti => {
            load.expected_attach_type = bpf_attach_type::BPF_TRACE_UPROBE_MULTI as u32;
        }
        Place::Iterator(type_number) => {
            load.prog_type = bpf_prog_type::BPF_PROG_TYPE_TRACING as u32;
            load.expected_attach_type = bpf_attach_type::BPF_TRACE_ITER as u32;
            load.attach_btf_id = type_number;
        }
    }
    load.insns = program.instructions.as_ptr() as u64;
    load.insn_cnt = program.instructions.len() as u32;
    load.license = c"GPL".as_ptr() as u64;
    // At most 15 characters and a NUL (BPF_OBJ_NAME_LEN).
    for (to, from) in load.prog_name.iter_mut().zip(program.name.bytes().take(15)) {
        *to = from as _;
    }
    if let Some(types) = program.types {
        load.prog_btf_fd = types.as_raw_fd() as u32;
        load.func_info = program.functions.as_ptr() as u64;
        load.func_info_rec_size = FUNCTION_BYTES as u32;
        load.func_info_cnt = (program.functions.len() / FUNCTION_BYTES) as u32;
    }
    if !log.is_empty() {
        load.log_level = 1;
        load.log_buf = log.as_mut_ptr() as u64;
        load.log_size = log.len() as u32;
    }
    // SAFETY: instructions, functions, licence and log outlive the call.
    unsafe { bpf(bpf_cmd::BPF_PROG_LOAD, &mut attributes) }.map(owned)
}

/// Attaches a program at many places of a file at once (Linux 6.6), for one
/// process. `path` must be openable by the kernel now; the link holds the inode.
pub fn link_uprobe_multi(
    program: BorrowedFd<'_>,
    path: &CStr,
    offsets: &[u64],
    cookies: &[u64],
    pid: u32,
    at_return: bool,
) -> io::Result<OwnedFd> {
    assert_eq!(offsets.len(), cookies.len(), "one cookie an offset");
    let mut attributes = zeroed();
    attributes.link_create.__bindgen_anon_1.prog_fd = program.as_raw_fd() as u32;
    attributes.link_create.attach_type = bpf_attach_type::BPF_TRACE_UPROBE_MULTI as u32;
    // SAFETY: plain writes to the member that this attach type reads.
    let multi = unsafe { &mut attributes.link_create.__bindgen_anon_3.uprobe_multi };
    multi.path = path.as_ptr() as u64;
    multi.offsets = offsets.as_ptr() as u64;
    multi.cookies = cookies.as_ptr() as u64;
    multi.cnt = offsets.len() as u32;
    multi.flags = if at_return { UPROBE_MULTI_RETURN } else { 0 };
    multi.pid = pid;
    // SAFETY: path, offsets and cookies outlive the call.
    unsafe { bpf(bpf_cmd::BPF_LINK_CREATE, &mut attributes) }.map(owned)
}

/// Whether the kernel has `uprobe_multi` links. Those that have not load a
/// program for one all the same, so a link is tried, on what is no file: the
/// kernel that knows of such links refuses it for that (EBADF,
/// kernel/trace/bpf_trace.c), the other for its type.
pub fn has_uprobe_multi() -> bool {
    // r0 = 0; exit
    let instructions = [0xb7, 0x95].map(|code| bpf_insn {
        code,
        _bitfield_align_1: [],
        _bitfield_1: bpf_insn::new_bitfield_1(0, 0),
        off: 0,
        imm: 0,
    });
    let program = Program {
        name: "try_multi",
        instructions: &instructions,
        types: None,
        functions: &[],
    };
    let Ok(program) = load_program(&program, Place::UprobeMulti) else {
        return false;
    };
    let tried = link_uprobe_multi(program.as_fd(), c"/", &[0], &[0], 0, false);
    tried.is_err_and(|error| error.raw_os_error() == Some(libc::EBADF))
}

/// Attaches a program to a perf event, with a cookie (Linux 5.15).
pub fn link_perf_event(
    program: BorrowedFd<'_>,
    event: &OwnedFd,
    cookie: u64,
) -> io::Result<OwnedFd> {
    let mut attributes = zeroed();
    attributes.link_create.__bindgen_anon_1.prog_fd = program.as_raw_fd() as u32;
    attributes.link_create.__bindgen_anon_2.target_fd = event.as_raw_fd() as u32;
    attributes.link_create.attach_type = bpf_attach_type::BPF_PERF_EVENT as u32;
    attributes
        .link_create
        .__bindgen_anon_3
        .perf_event
        .bpf_cookie = cookie;
    // SAFETY: no pointers.
    unsafe { bpf(bpf_cmd::BPF_LINK_CREATE, &mut attributes) }.map(owned)
}

/// What the kernel knows of a program's runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgramRun {
    /// Runs, while statistics are enabled.
    pub count: u64,
    /// Time of these runs, ns.
    pub ns: u64,
    /// Hits that the kernel passed over, because a program ran already
    /// (Linux 5.12).
    pub missed: u64,
}

/// What the kernel knows of a program's runs.
pub fn program_run(program: BorrowedFd<'_>) -> io::Result<ProgramRun> {
    // SAFETY: a structure of integers.
    let mut info: bpf_prog_info = unsafe { std::mem::zeroed() };
    let mut attributes = zeroed();
    attributes.info.bpf_fd = program.as_raw_fd() as u32;
    attributes.info.info_len = size_of::<bpf_prog_info>() as u32;
    attributes.info.info = &raw mut info as u64;
    // SAFETY: `info` outlives the call and is as long as said.
    unsafe { bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attributes) }?;
    Ok(ProgramRun {
        count: info.run_cnt,
        ns: info.run_time_ns,
        missed: info.recursion_misses,
    })
}

/// All entries of a hash map, in batches (Linux 5.6). While the map changes,
/// entries may be missed or come twice; a quiet map is read exactly.
pub fn read_hash_map<K: aya::Pod, V: aya::Pod>(
    map: BorrowedFd<'_>,
    mut each: impl FnMut(&K, &V),
) -> io::Result<()> {
    let mut room = 4096usize;
    let mut cursor = 0u64;
    let mut first = true;
    loop {
        let mut keys: Vec<K> = Vec::with_capacity(room);
        let mut values: Vec<V> = Vec::with_capacity(room);
        let mut next = 0u64;
        let mut attributes = zeroed();
        attributes.batch.in_batch = if first { 0 } else { &raw const cursor as u64 };
        attributes.batch.out_batch = &raw mut next as u64;
        attributes.batch.keys = keys.as_mut_ptr() as u64;
        attributes.batch.values = values.as_mut_ptr() as u64;
        attributes.batch.count = room as u32;
        attributes.batch.map_fd = map.as_raw_fd() as u32;
        // SAFETY: both vectors have room for `count` elements of the map's
        // sizes, which are `size_of` these types; all outlive the call.
        let result = unsafe { bpf(bpf_cmd::BPF_MAP_LOOKUP_BATCH, &mut attributes) };
        let done = match result {
            Ok(_) => false,
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => true,
            // One bucket holds more than there is room for.
            Err(error) if error.raw_os_error() == Some(libc::ENOSPC) && room < 1 << 22 => {
                room *= 2;
                continue;
            }
            Err(error) => return Err(error),
        };
        // SAFETY: the kernel wrote this many, of types valid for any bits.
        let count = unsafe { attributes.batch.count } as usize;
        // SAFETY: as above.
        unsafe {
            keys.set_len(count.min(room));
            values.set_len(count.min(room));
        }
        for (key, value) in keys.iter().zip(&values) {
            each(key, value);
        }
        if done {
            return Ok(());
        }
        (cursor, first) = (next, false);
    }
}
