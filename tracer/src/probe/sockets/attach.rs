//! Attaching where targets use their sockets, in the first way that this kernel has.

use aya::{
    Btf, Ebpf,
    programs::{BtfTracePoint, FEntry, FExit, KProbe, Program, RawTracePoint},
};

use super::{
    globals::allocator,
    switched::{Probe, Switched},
};
use crate::{
    model::trace_sockets::Probes,
    probe::{
        ProbeError,
        btf::KernelTypes,
        object::{Rounds, chain, program},
    },
};

/// What was attached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketProbes {
    /// Where stacks are taken.
    pub probes: Probes,
    /// Whether the memory that TCP takes is accounted too.
    pub has_accounting: bool,
    /// What could not be, and why. Sentences.
    pub notes: Vec<String>,
}

/// Attaches them: by `choice` alone, or by the best that works. Those that come and go
/// are attached as all others are, to begin with.
pub fn attach(
    ebpf: &mut Ebpf,
    types: &KernelTypes,
    rounds: Rounds,
    choice: Option<Probes>,
) -> (SocketProbes, Option<Switched>) {
    let mut attached = SocketProbes::default();
    let ways = match &choice {
        Some(Probes::None) => return (attached, None),
        Some(only) => std::slice::from_ref(only),
        None => &[Probes::Fentry, Probes::Kprobe, Probes::Tracepoints],
    };
    let btf = match types.of_aya() {
        Ok(btf) => btf,
        Err(error) => return without(attached, &error.to_string()),
    };
    let mut kernel = Attacher {
        ebpf,
        rounds,
        types,
        btf,
    };
    let (mut reasons, mut calls) = (Vec::new(), None);
    for way in ways {
        match kernel.stacks(*way) {
            Ok(of_this_way) => {
                attached.probes = *way;
                calls = Some(of_this_way);
                break;
            }
            Err(error) => {
                kernel.let_go_of(&STACKS);
                reasons.push(format!("{}: {error}", name(*way)));
            }
        }
    }
    if attached.probes == Probes::None {
        return without(attached, &reasons.join("; "));
    }
    if attached.probes != Probes::Tracepoints {
        match kernel.accounting(attached.probes) {
            Ok(()) => attached.has_accounting = true,
            Err(error) => {
                kernel.let_go_of(&ACCOUNTING);
                let note = format!("The kernel's socket accounting is not watched: {error}.");
                attached.notes.push(note);
            }
        }
    }
    if let Err(error) = kernel.events() {
        let note = format!("Events of socket pressure are not counted: {error}.");
        attached.notes.push(note);
    }
    (attached, calls)
}

fn without(mut attached: SocketProbes, why: &str) -> (SocketProbes, Option<Switched>) {
    let note = format!("No stacks of those who send and receive: {why}.");
    attached.notes.push(note);
    (attached, None)
}

const fn name(way: Probes) -> &'static str {
    match way {
        Probes::Fentry => "fentry",
        Probes::Kprobe => "kprobe",
        Probes::Tracepoints => "tracepoints",
        Probes::None => "none",
    }
}

/// Where they read.
const READ: &str = "tcp_recvmsg";

/// Programs that take stacks.
const STACKS: [&str; 10] = [
    "socket_sent",
    "socket_received",
    "socket_allocated",
    "socket_allocated_bounded",
    "socket_reads",
    "socket_reads_bounded",
    "socket_allocated_probe",
    "socket_allocated_probe_bounded",
    "socket_reads_probe",
    "socket_reads_probe_bounded",
];
/// Programs that account.
const ACCOUNTING: [&str; 9] = [
    "socket_raised",
    "socket_reduced",
    "socket_forces",
    "socket_forced",
    "socket_raises_probe",
    "socket_raised_probe",
    "socket_reduced_probe",
    "socket_forces_probe",
    "socket_forced_probe",
];

struct Attacher<'a> {
    ebpf: &'a mut Ebpf,
    rounds: Rounds,
    types: &'a KernelTypes,
    btf: &'a Btf,
}

impl Attacher<'_> {
    /// Senders and readers are watched from now on, until their probes are taken away.
    fn stacks(&mut self, way: Probes) -> Result<Switched, ProbeError> {
        let suffix = match self.rounds {
            Rounds::Loop => "",
            Rounds::Bounded => "_bounded",
        };
        let [senders, readers] = match way {
            Probes::Tracepoints => [
                Probe::new("socket_sent".to_owned(), "sock_send_length"),
                Probe::new("socket_received".to_owned(), "sock_recv_length"),
            ],
            Probes::Fentry => [
                Probe::new(format!("socket_allocated{suffix}"), self.allocator()?),
                Probe::new(format!("socket_reads{suffix}"), READ),
            ],
            Probes::Kprobe | Probes::None => [
                Probe::new(format!("socket_allocated_probe{suffix}"), self.allocator()?),
                Probe::new(format!("socket_reads_probe{suffix}"), READ),
            ],
        };
        let mut calls = Switched { senders, readers };
        for probe in [&mut calls.senders, &mut calls.readers] {
            match way {
                Probes::Tracepoints => self.load_tracepoint(probe.program(), probe.function())?,
                Probes::Fentry => self.load_fentry(probe.program(), probe.function())?,
                Probes::Kprobe | Probes::None => {
                    self.load_kprobe(probe.program(), probe.function())?;
                }
            }
            let watched = probe.watch(self.ebpf, true);
            watched.map_err(|error| failed(probe.function(), &error))?;
        }
        Ok(calls)
    }

    fn allocator(&self) -> Result<&'static str, ProbeError> {
        let (allocator, _) = allocator(self.types).ok_or_else(|| ProbeError::Attach {
            what: "tcp_stream_alloc_skb".to_owned(),
            reason: "this kernel has no such function".to_owned(),
        })?;
        Ok(allocator)
    }

    fn accounting(&mut self, way: Probes) -> Result<(), ProbeError> {
        const RAISE: &str = "__sk_mem_raise_allocated";
        const REDUCE: &str = "__sk_mem_reduce_allocated";
        const FORCE: &str = "sk_forced_mem_schedule";
        // Returns first: what is entered before the entry's probe is in is not known.
        if way == Probes::Fentry {
            self.fexit("socket_forced", FORCE)?;
            self.fentry("socket_forces", FORCE)?;
            self.fexit("socket_raised", RAISE)?;
            self.fentry("socket_reduced", REDUCE)
        } else {
            self.kprobe("socket_forced_probe", FORCE)?;
            self.kprobe("socket_forces_probe", FORCE)?;
            self.kprobe("socket_raised_probe", RAISE)?;
            self.kprobe("socket_raises_probe", RAISE)?;
            self.kprobe("socket_reduced_probe", REDUCE)
        }
    }

    fn events(&mut self) -> Result<(), ProbeError> {
        for (name, tracepoint) in [
            ("socket_limit_exceeded", "sock_exceed_buf_limit"),
            ("socket_receive_full", "sock_rcvqueue_full"),
        ] {
            let program: &mut RawTracePoint = program(self.ebpf, name)?;
            let attached = program.load().and_then(|()| program.attach(tracepoint));
            attached.map_err(|error| failed(tracepoint, &error))?;
        }
        Ok(())
    }

    /// What is attached of a way that does not work as a whole would only cost.
    fn let_go_of(&mut self, names: &[&str]) {
        for name in names {
            // One that was not loaded says so.
            let _ = match self.ebpf.program_mut(name) {
                Some(Program::FEntry(program)) => program.unload(),
                Some(Program::FExit(program)) => program.unload(),
                Some(Program::KProbe(program)) => program.unload(),
                Some(Program::BtfTracePoint(program)) => program.unload(),
                _ => continue,
            };
        }
    }

    fn load_tracepoint(&mut self, name: &str, tracepoint: &str) -> Result<(), ProbeError> {
        let program: &mut BtfTracePoint = program(self.ebpf, name)?;
        let loaded = program.load(tracepoint, self.btf);
        loaded.map_err(|error| failed(tracepoint, &error))
    }

    fn load_fentry(&mut self, name: &str, function: &str) -> Result<(), ProbeError> {
        let program: &mut FEntry = program(self.ebpf, name)?;
        let loaded = program.load(function, self.btf);
        loaded.map_err(|error| failed(function, &error))
    }

    fn fentry(&mut self, name: &str, function: &str) -> Result<(), ProbeError> {
        self.load_fentry(name, function)?;
        let program: &mut FEntry = program(self.ebpf, name)?;
        program.attach().map_err(|error| failed(function, &error))?;
        Ok(())
    }

    fn fexit(&mut self, name: &str, function: &str) -> Result<(), ProbeError> {
        let program: &mut FExit = program(self.ebpf, name)?;
        let attached = program.load(function, self.btf);
        (attached.and_then(|()| program.attach())).map_err(|error| failed(function, &error))?;
        Ok(())
    }

    fn load_kprobe(&mut self, name: &str, function: &str) -> Result<(), ProbeError> {
        let program: &mut KProbe = program(self.ebpf, name)?;
        program.load().map_err(|error| failed(function, &error))
    }

    fn kprobe(&mut self, name: &str, function: &str) -> Result<(), ProbeError> {
        self.load_kprobe(name, function)?;
        let program: &mut KProbe = program(self.ebpf, name)?;
        program
            .attach(function, 0)
            .map_err(|error| failed(function, &error))?;
        Ok(())
    }
}

/// Without the verifier's log, which is for those who write programs.
fn failed(what: &str, error: &aya::programs::ProgramError) -> ProbeError {
    let reason = chain(error);
    let reason = reason.split("Verifier output").next().unwrap_or_default();
    ProbeError::Attach {
        what: what.to_owned(),
        reason: reason.trim_end_matches([' ', '.']).to_owned(),
    }
}
