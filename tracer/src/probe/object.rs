//! The eBPF object: which programs it has, and loading it.

use std::borrow::Cow;

use aya::{
    Ebpf, EbpfLoader,
    programs::{Program, ProgramType, RawTracePoint},
    sys::BpfHelper,
};

use super::{Limits, ProbeError, btf::KernelTypes, programs::Programs, sockets::SocketGlobals};

/// The committed object; `cargo xtask ebpf` builds it.
static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/ebpf/memtrace.bpf.o"));

/// The programs that go on uprobes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProgramName {
    /// The entry of an allocating function.
    Entry,
    /// The return of an allocating function.
    Return,
    /// A `ret` of an allocating function that can throw.
    Exit,
    /// The entry of a function that frees.
    Free,
    /// V8's allocation of JavaScript's objects.
    JavascriptHeap,
    /// `_dl_debug_state` of the loader.
    Loader,
    /// Does nothing, at an entry.
    EmptyEntry,
    /// Does nothing, at a return.
    EmptyReturn,
    /// Takes the stack as the kernel does it, at a return.
    KernelStack,
    /// Takes the stack by unwind tables and does nothing else, at a return.
    ExactStack,
}

impl ProgramName {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Entry,
        Self::Return,
        Self::Exit,
        Self::Free,
        Self::JavascriptHeap,
        Self::Loader,
        Self::EmptyEntry,
        Self::EmptyReturn,
        Self::KernelStack,
        Self::ExactStack,
    ];

    /// Its name in the object.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Entry => "allocator_entry",
            Self::Return => "allocator_return",
            Self::Exit => "allocator_exit",
            Self::Free => "allocator_free",
            Self::JavascriptHeap => "javascript_allocation",
            Self::Loader => "loader_change",
            Self::EmptyEntry => "empty_entry",
            Self::EmptyReturn => "empty_return",
            Self::KernelStack => "kernel_stack",
            Self::ExactStack => "exact_stack",
        }
    }

    /// Whether it runs at the function's return.
    #[must_use]
    pub const fn at_return(self) -> bool {
        matches!(
            self,
            Self::Return | Self::EmptyReturn | Self::KernelStack | Self::ExactStack
        )
    }

    /// Whether it is of use with `bpf_loop` only: without names of functions.
    #[must_use]
    pub const fn needs_loop(self) -> bool {
        matches!(self, Self::JavascriptHeap)
    }

    /// Whether no trace needs it.
    #[must_use]
    pub const fn is_for_benchmarks(self) -> bool {
        matches!(self, Self::KernelStack | Self::ExactStack)
    }
}

/// How programs go round that walk a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounds {
    /// By `bpf_loop` (Linux 5.17).
    Loop,
    /// By a loop of which the verifier follows every turn.
    Bounded,
}

impl Rounds {
    /// What this kernel can do; in debug builds the latter if
    /// `MEMTRACE_BOUNDED` is set, so that it is tested on any kernel.
    pub fn of_this_kernel() -> Self {
        #[cfg(debug_assertions)]
        if std::env::var_os("MEMTRACE_BOUNDED").is_some() {
            return Self::Bounded;
        }
        if has(ProgramType::KProbe, BpfHelper::BPF_FUNC_loop) {
            Self::Loop
        } else {
            Self::Bounded
        }
    }

    /// The name in the object of a program that does it so.
    pub fn symbol(self, name: ProgramName) -> Cow<'static, str> {
        match (self, name) {
            (Self::Bounded, ProgramName::Return | ProgramName::Exit) => {
                format!("{}_bounded", name.symbol()).into()
            }
            _ => name.symbol().into(),
        }
    }

    /// The tracepoints' programs, and what they go on.
    pub const fn tracepoints(self) -> [(&'static str, &'static str); 5] {
        [
            ("process_exec", "sched_process_exec"),
            ("process_fork", "sched_process_fork"),
            ("thread_exit", "sched_process_exit"),
            ("mapping_enter", "sys_enter"),
            match self {
                Self::Loop => ("mapping_exit", "sys_exit"),
                Self::Bounded => ("mapping_exit_bounded", "sys_exit"),
            },
        ]
    }
}

/// The object's bytes: the embedded one, or in debug builds the one that
/// `MEMTRACE_EBPF_OBJECT` names, so that tests run on what was just built.
pub(super) fn object() -> Result<Cow<'static, [u8]>, ProbeError> {
    #[cfg(debug_assertions)]
    if let Some(path) = std::env::var_os("MEMTRACE_EBPF_OBJECT") {
        return std::fs::read(&path)
            .map(Into::into)
            .map_err(|error| ProbeError::Load(format!("{}: {error}", path.display())));
    }
    Ok(OBJECT.into())
}

/// Loads object and maps; nothing is attached and the gate is shut.
pub fn load(
    types: &KernelTypes,
    limits: &Limits,
    allow_multi: bool,
) -> Result<(Ebpf, Programs, Rounds), ProbeError> {
    let [
        mm_offset,
        tgid_offset,
        signal_offset,
        exit_code_offset,
        utask_offset,
        parent_offset,
        flags_offset,
    ] = types.offsets(
        "task_struct",
        [
            "mm",
            "tgid",
            "signal",
            "exit_code",
            "utask",
            "real_parent",
            "flags",
        ],
    )?;
    let [live_offset] = types.offsets("signal_struct", ["live"])?;
    let [returns_offset] = types.offsets("uprobe_task", ["return_instances"])?;
    let [return_stack, return_address, return_next] =
        types.offsets("return_instance", ["stack", "orig_ret_vaddr", "next"])?;
    let sockets = SocketGlobals::of(types);
    lift_memory_limit();
    let bytes = object()?;
    let mut loader = EbpfLoader::new();
    sockets.set(&mut loader);
    let mut ebpf = loader
        .btf(None)
        .override_global("MM_OFFSET", &mm_offset, true)
        .override_global("TGID_OFFSET", &tgid_offset, true)
        .override_global("SIGNAL_OFFSET", &signal_offset, true)
        .override_global("EXIT_CODE_OFFSET", &exit_code_offset, true)
        .override_global("LIVE_OFFSET", &live_offset, true)
        .override_global("PARENT_OFFSET", &parent_offset, true)
        .override_global("FLAGS_OFFSET", &flags_offset, true)
        .override_global("OWN_TGID", &std::process::id(), true)
        .override_global("UTASK_OFFSET", &utask_offset, true)
        .override_global("RETURNS_OFFSET", &returns_offset, true)
        .override_global("RETURN_STACK_OFFSET", &return_stack, true)
        .override_global("RETURN_ADDRESS_OFFSET", &return_address, true)
        .override_global("RETURN_NEXT_OFFSET", &return_next, true)
        .override_global(
            "HAS_TYPED_TASK",
            &u32::from(has(
                ProgramType::KProbe,
                BpfHelper::BPF_FUNC_get_current_task_btf,
            )),
            true,
        )
        .map_max_entries("LEDGER", limits.blocks)
        .map_max_entries("SITES", limits.sites)
        .map_max_entries("THREADS", limits.threads)
        .map_max_entries("TARGETS", limits.processes)
        .map_max_entries("SPACES", limits.processes)
        .map_max_entries("SPACE_SETTINGS", limits.processes)
        .map_max_entries("SPACE_CODE", limits.processes)
        .map_max_entries("PAGES", limits.unwind.pages)
        .map_max_entries("ROWS", limits.unwind.chunks)
        .map_max_entries("TABLE_USES", limits.unwind.tables)
        .load(&bytes)
        .map_err(load_error)?;
    let rounds = Rounds::of_this_kernel();
    for (name, _) in rounds.tracepoints() {
        let program: &mut RawTracePoint = program(&mut ebpf, name)?;
        program
            .load()
            .map_err(|error| ProbeError::Load(format!("{name}: {error}")))?;
    }
    let programs = Programs::load(&bytes, &ebpf, rounds, allow_multi)?;
    Ok((ebpf, programs, rounds))
}

/// Before Linux 5.11 maps count against RLIMIT_MEMLOCK; if it cannot be
/// lifted, creating them will say so.
pub(super) fn lift_memory_limit() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let _ = setrlimit(
        Resource::Memlock,
        Rlimit {
            current: None,
            maximum: None,
        },
    );
}

/// Whether programs of this type may call `helper` on this kernel.
pub fn has(program: ProgramType, helper: BpfHelper) -> bool {
    aya::sys::is_helper_supported(program, helper).unwrap_or(false)
}

pub(super) fn load_error(error: aya::EbpfError) -> ProbeError {
    let text = chain(&error);
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && matches!(io.raw_os_error(), Some(libc::EPERM | libc::EACCES))
        {
            return ProbeError::NotPermitted(std::io::Error::from_raw_os_error(libc::EPERM));
        }
        cause = error.source();
    }
    ProbeError::Load(text)
}

/// An error and its causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// A program of the object by name and type.
pub fn program<'a, T>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut T, ProbeError>
where
    &'a mut T: TryFrom<&'a mut Program>,
{
    ebpf.program_mut(name)
        .and_then(|program| program.try_into().ok())
        .ok_or_else(|| ProbeError::Load(format!("the object has no program {name}")))
}
