//! The programs that go on uprobes, loaded for what this kernel can attach.
//!
//! aya 0.14 cannot load for `uprobe_multi` links, which hold many places of a
//! file and go within one RCU wait, nor do without attach cookies, so both are
//! done here with its parser and the maps that it made. aya 0.16 brings multi
//! links natively.

use std::{
    collections::{HashMap, HashSet},
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
};

use aya::{Ebpf, programs::ProgramType, sys::BpfHelper};
use aya_obj::generated::{BPF_ALU64, BPF_CALL, BPF_JMP, BPF_K, BPF_MOV, bpf_insn};

use super::{
    ProbeError,
    kernel::map_fd,
    object::{ProgramName, has},
    sys,
};

/// How uprobes are attached on this kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uprobes {
    /// One link for many places (Linux 6.6; its process filter sees threads from 6.10).
    Multi,
    /// A perf event each, with a cookie (Linux 5.15).
    Single,
    /// A perf event each, and a copy of the program for each cookie.
    SingleWithoutCookies,
}

/// The programs, sharing the maps of the loaded object.
pub struct Programs {
    uprobes: Uprobes,
    instructions: HashMap<ProgramName, Vec<bpf_insn>>,
    /// By name and, where the kernel has no cookies, cookie.
    loaded: HashMap<(ProgramName, u64), OwnedFd>,
}

impl Programs {
    /// Loads every program once, by the best of what the kernel can do.
    pub fn load(object: &[u8], ebpf: &Ebpf, allow_multi: bool) -> Result<Self, ProbeError> {
        let mut programs = Self {
            uprobes: if has(ProgramType::KProbe, BpfHelper::BPF_FUNC_get_attach_cookie) {
                Uprobes::Single
            } else {
                Uprobes::SingleWithoutCookies
            },
            instructions: instructions_of(object, ebpf)?,
            loaded: HashMap::new(),
        };
        if allow_multi && sys::has_uprobe_multi() {
            programs.uprobes = Uprobes::Multi;
        }
        for name in ProgramName::ALL {
            // Its copies are loaded as they are needed.
            if programs.key(name, 1).1 == 0 {
                programs.get(name, 0)?;
            }
        }
        Ok(programs)
    }

    /// How they are attached.
    pub const fn uprobes(&self) -> Uprobes {
        self.uprobes
    }

    /// The program for probes with this cookie.
    pub fn get(&mut self, name: ProgramName, cookie: u64) -> Result<BorrowedFd<'_>, ProbeError> {
        let key = self.key(name, cookie);
        if !self.loaded.contains_key(&key) {
            let program = self.load_one(name, key.1)?;
            self.loaded.insert(key, program);
        }
        let program = self.loaded.get(&key).map(|fd| fd.as_fd());
        program.ok_or_else(|| no_program(name))
    }

    /// Every copy of a program that is loaded.
    pub fn copies(&self, name: ProgramName) -> impl Iterator<Item = BorrowedFd<'_>> {
        let copies = self.loaded.iter().filter(move |((of, _), _)| *of == name);
        copies.map(|(_, fd)| fd.as_fd())
    }

    fn key(&self, name: ProgramName, cookie: u64) -> (ProgramName, u64) {
        let asks = self.uprobes == Uprobes::SingleWithoutCookies
            && (self.instructions.get(&name)).is_some_and(|code| code.iter().any(asks_for_cookie));
        (name, if asks { cookie } else { 0 })
    }

    fn load_one(&self, name: ProgramName, cookie: u64) -> Result<OwnedFd, ProbeError> {
        let mut code = self.instructions.get(&name).cloned();
        let code = code.as_mut().ok_or_else(|| no_program(name))?;
        if self.uprobes == Uprobes::SingleWithoutCookies {
            let cookie = i32::try_from(cookie)
                .map_err(|_| ProbeError::Load(format!("the cookie {cookie} has over 31 bits")))?;
            for instruction in code.iter_mut().filter(|it| asks_for_cookie(it)) {
                *instruction = constant(cookie);
            }
        }
        sys::load_uprobe(name.symbol(), code, self.uprobes == Uprobes::Multi)
            .map_err(|(error, log)| ProbeError::Load(format!("{}: {error}\n{log}", name.symbol())))
    }
}

fn no_program(name: ProgramName) -> ProbeError {
    ProbeError::Load(format!("the object has no program {}", name.symbol()))
}

/// Whether an instruction calls `bpf_get_attach_cookie`, which old kernels lack.
fn asks_for_cookie(instruction: &bpf_insn) -> bool {
    u32::from(instruction.code) == BPF_JMP | BPF_CALL
        && instruction.src_reg() == 0
        && instruction.imm == BpfHelper::BPF_FUNC_get_attach_cookie as i32
}

/// `r0 = number`: where a call leaves its result.
fn constant(number: i32) -> bpf_insn {
    bpf_insn {
        code: (BPF_ALU64 | BPF_MOV | BPF_K) as u8,
        _bitfield_align_1: [],
        _bitfield_1: bpf_insn::new_bitfield_1(0, 0),
        off: 0,
        imm: number,
    }
}

/// Each program's instructions, with the maps of `ebpf` in them.
fn instructions_of(
    object: &[u8],
    ebpf: &Ebpf,
) -> Result<HashMap<ProgramName, Vec<bpf_insn>>, ProbeError> {
    let failed = |error: String| ProbeError::Load(error);
    let mut parsed = aya_obj::Object::parse(object).map_err(|error| failed(error.to_string()))?;
    let text_sections: HashSet<usize> = parsed
        .functions
        .keys()
        .map(|(section, _)| *section)
        .collect();
    let maps = std::mem::take(&mut parsed.maps);
    let mut with_fds = Vec::new();
    for (name, map) in &maps {
        let fd = ebpf
            .map(name)
            .and_then(map_fd)
            .map(|fd| fd.as_raw_fd())
            .ok_or_else(|| failed(format!("no map {name}")))?;
        with_fds.push((name.as_str(), fd, map));
    }
    parsed
        .relocate_maps(with_fds.into_iter(), &text_sections)
        .map_err(|error| failed(error.to_string()))?;
    parsed
        .relocate_calls(&text_sections)
        .map_err(|error| failed(error.to_string()))?;
    parsed.sanitize_functions(aya::features());
    ProgramName::ALL
        .into_iter()
        .map(|name| {
            let function = parsed
                .programs
                .get(name.symbol())
                .and_then(|program| parsed.functions.get(&program.function_key()))
                .ok_or_else(|| no_program(name))?;
            Ok((name, function.instructions.clone()))
        })
        .collect()
}
