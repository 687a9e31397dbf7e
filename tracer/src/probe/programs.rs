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
    object::{ProgramName, Rounds, chain, has},
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

/// A program as it is loaded.
struct ProgramCode {
    instructions: Vec<bpf_insn>,
    /// Where its functions begin and which types they have, as `struct bpf_func_info`.
    functions: Vec<u8>,
}

/// The programs, sharing the maps of the loaded object.
pub struct Programs {
    uprobes: Uprobes,
    types: Option<OwnedFd>,
    code: HashMap<ProgramName, ProgramCode>,
    /// By name and, where the kernel has no cookies, cookie.
    loaded: HashMap<(ProgramName, u64), OwnedFd>,
}

impl Programs {
    /// Loads every program once, by the best of what the kernel can do.
    pub fn load(
        object: &[u8],
        ebpf: &Ebpf,
        rounds: Rounds,
        allow_multi: bool,
    ) -> Result<Self, ProbeError> {
        let (types, code) = code_of(object, ebpf, rounds)?;
        let mut programs = Self {
            uprobes: if has(ProgramType::KProbe, BpfHelper::BPF_FUNC_get_attach_cookie) {
                Uprobes::Single
            } else {
                Uprobes::SingleWithoutCookies
            },
            types,
            code,
            loaded: HashMap::new(),
        };
        if allow_multi && sys::has_uprobe_multi() {
            programs.uprobes = Uprobes::Multi;
        }
        for name in ProgramName::ALL {
            // Its copies are loaded as they are needed.
            let is_of_use = !name.needs_loop() || rounds == Rounds::Loop;
            if programs.key(name, 1).1 == 0 && !name.is_for_benchmarks() && is_of_use {
                programs.get(name, 0)?;
            }
        }
        Ok(programs)
    }

    /// None at all.
    pub fn none() -> Self {
        Self {
            uprobes: Uprobes::Single,
            types: None,
            code: HashMap::new(),
            loaded: HashMap::new(),
        }
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
            && (self.code.get(&name))
                .is_some_and(|code| code.instructions.iter().any(asks_for_cookie));
        (name, if asks { cookie } else { 0 })
    }

    fn load_one(&self, name: ProgramName, cookie: u64) -> Result<OwnedFd, ProbeError> {
        let code = self.code.get(&name).ok_or_else(|| no_program(name))?;
        let mut instructions = code.instructions.clone();
        if self.uprobes == Uprobes::SingleWithoutCookies {
            let cookie = i32::try_from(cookie)
                .map_err(|_| ProbeError::Load(format!("the cookie {cookie} has over 31 bits")))?;
            for instruction in instructions.iter_mut().filter(|it| asks_for_cookie(it)) {
                *instruction = constant(cookie);
            }
        }
        let program = sys::Program {
            name: name.symbol(),
            instructions: &instructions,
            types: self.types.as_ref().map(OwnedFd::as_fd),
            functions: &code.functions,
        };
        let place = match self.uprobes {
            Uprobes::Multi => sys::Place::UprobeMulti,
            _ => sys::Place::Uprobe,
        };
        sys::load_program(&program, place)
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

/// Each program with the maps of `ebpf` in it, and the types of their
/// functions, which the kernel wants for those that `bpf_loop` calls.
fn code_of(
    object: &[u8],
    ebpf: &Ebpf,
    rounds: Rounds,
) -> Result<(Option<OwnedFd>, HashMap<ProgramName, ProgramCode>), ProbeError> {
    let failed = |error: &dyn std::error::Error| ProbeError::Load(chain(error));
    let mut parsed = aya_obj::Object::parse(object).map_err(|error| failed(&error))?;
    let types = match (rounds, aya::features().btf()) {
        (Rounds::Loop, Some(features)) => (parsed.fixup_and_sanitize_btf(features))
            .map_err(|error| failed(&error))?
            .map(|types| sys::load_types(&types.to_bytes()))
            .transpose()
            .map_err(|error| failed(&error))?,
        _ => None,
    };
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
            .ok_or_else(|| ProbeError::Load(format!("no map {name}")))?;
        with_fds.push((name.as_str(), fd, map));
    }
    parsed
        .relocate_maps(with_fds.into_iter(), &text_sections)
        .map_err(|error| failed(&error))?;
    parsed
        .relocate_calls(&text_sections)
        .map_err(|error| failed(&error))?;
    parsed.sanitize_functions(aya::features());
    let code = ProgramName::ALL.into_iter().map(|name| {
        let function = (parsed.programs.get(rounds.symbol(name).as_ref()))
            .and_then(|program| parsed.functions.get(&program.function_key()))
            .ok_or_else(|| no_program(name))?;
        let functions = match types {
            Some(_) => function.func_info.func_info_bytes(),
            None => Vec::new(),
        };
        let code = ProgramCode {
            instructions: function.instructions.clone(),
            functions,
        };
        Ok((name, code))
    });
    let code = code.collect::<Result<_, ProbeError>>()?;
    Ok((types, code))
}
