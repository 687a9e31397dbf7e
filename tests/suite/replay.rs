//! Stacks of real programs, recorded by gdb, unwound again by the code that
//! runs in the kernel, by framehop and by gdb: three unwinders, one answer.

use std::{collections::HashMap, process::Command};

use framehop::{
    ExplicitModuleSectionInfo, Module, Unwinder as _,
    x86_64::{CacheX86_64, UnwindRegsX86_64, UnwinderX86_64},
};
use object::{Object as _, ObjectSection as _, ObjectSegment as _, SegmentFlags, elf::PF_X};
use tests::{
    FileMapping, Gdb, RecordedStack, allocator_of, code_of, needs_program, programs_dir, run_tool,
};
use tracer::symbolize::elf;
use tracer_common::unwind::{
    Walk, frame,
    replay::{Replay, Table},
};

use crate::stacks::optimised_containers;

/// Stacks recorded of each program.
const CALLS: u32 = 1200;
/// Of these at least so many must be identical.
const SHARE: f64 = 0.995;

/// The code of a process, as the three know it.
struct Code {
    mappings: Vec<FileMapping>,
    tables: Vec<(FileMapping, tracer::symbolize::unwind_table::UnwindTable)>,
    framehop: UnwinderX86_64<Vec<u8>>,
}

impl Code {
    fn of(pid: u32) -> Self {
        let mappings = code_of(pid);
        let mut code = Self {
            mappings: mappings.clone(),
            tables: Vec::new(),
            framehop: UnwinderX86_64::new(),
        };
        for mapping in mappings {
            // The vdso is no file; gdb's stacks do not begin in it.
            let Ok(bytes) = std::fs::read(&mapping.3) else {
                continue;
            };
            code.framehop.add_module(module(&mapping, &bytes));
            let table = elf::unwind_table(&bytes).unwrap();
            code.tables.push((mapping, table));
        }
        code
    }

    fn ours(&self, stack: &RecordedStack) -> Vec<u64> {
        let mut replay = Replay::new(stack.stack_start, stack.stack.clone());
        for ((start, end, offset, _), table) in &self.tables {
            let table = Table {
                first_page: table.first_page,
                pages: &table.pages,
                rows: &table.rows,
                specials: &table.specials,
            };
            replay.map(*start, end - start, *offset, &table);
        }
        let walk = Walk {
            code: stack.word(stack.stack_pointer).unwrap(),
            stack_pointer: stack.stack_pointer + 8,
            frame_pointer: stack.frame_pointer,
            ..Walk::default()
        };
        let (_, frames) = replay.walk(walk);
        frames.into_iter().map(frame::address).collect()
    }

    fn framehops(&self, stack: &RecordedStack, function: u64) -> Vec<u64> {
        let mut cache = CacheX86_64::<_>::new();
        let registers = UnwindRegsX86_64::new(function, stack.stack_pointer, stack.frame_pointer);
        let mut read = |address: u64| stack.word(address).ok_or(());
        let mut frames = self
            .framehop
            .iter_frames(function, registers, &mut cache, &mut read);
        let mut callers = Vec::new();
        while let Ok(Some(frame)) = frames.next() {
            callers.push(frame.address());
        }
        callers.split_off(1)
    }

    /// To the first frame that lies in no file.
    fn in_files(&self, mut stack: Vec<u64>) -> Vec<u64> {
        let inside = |at: u64| (self.mappings.iter()).any(|it| (it.0..=it.1).contains(&at));
        stack.truncate(stack.iter().take_while(|it| inside(**it)).count());
        stack
    }
}

/// A mapping of a file's code for framehop.
fn module((start, end, offset, path): &FileMapping, bytes: &[u8]) -> Module<Vec<u8>> {
    let file = object::File::parse(bytes).unwrap();
    let is_code = |flags| matches!(flags, SegmentFlags::Elf { p_flags } if p_flags & PF_X != 0);
    let segment = (file.segments())
        .find(|it| is_code(it.flags()) && it.file_range().0 <= *offset + 0xfff)
        .unwrap();
    let base = start - offset + segment.file_range().0 - segment.address();
    let of = |name| file.section_by_name(name);
    let range = |name| of(name).map(|it| it.address()..it.address() + it.size());
    let data = |name| of(name).and_then(|it| Some(it.data().ok()?.to_vec()));
    Module::new(
        path.clone(),
        *start..*end,
        base,
        ExplicitModuleSectionInfo {
            base_svma: 0,
            text_svma: range(".text"),
            text: data(".text"),
            got_svma: range(".got"),
            eh_frame_svma: range(".eh_frame"),
            eh_frame: data(".eh_frame"),
            eh_frame_hdr_svma: range(".eh_frame_hdr"),
            eh_frame_hdr: data(".eh_frame_hdr"),
            ..Default::default()
        },
    )
}

fn assert_three_agree(name: &str, program: &Command) {
    let mut gdb = Gdb::start(program, "__libc_start_main", true);
    let malloc = HashMap::from([(
        "malloc".to_owned(),
        allocator_of(gdb.pid, "libc.so.6")["malloc"],
    )]);
    gdb.go_to(&malloc, 2000, CALLS);
    let code = Code::of(gdb.pid);
    let stacks = gdb.recorded();
    let (mut as_gdb, mut as_framehop, mut frames) = (0, 0, 0);
    let mut different = None;
    for stack in &stacks {
        let ours = code.in_files(code.ours(stack));
        let gdbs = code.in_files(stack.callers.clone());
        let framehops = code.in_files(code.framehops(stack, malloc["malloc"]));
        frames += ours.len();
        as_gdb += u32::from(ours == gdbs);
        as_framehop += u32::from(ours == framehops);
        if ours != gdbs || ours != framehops {
            different = Some([ours, gdbs, framehops]);
        }
    }
    let count = stacks.len() as f64;
    println!(
        "{name}: {as_gdb} of {count} stacks identical to gdb's, {as_framehop} to framehop's, {:.1} frames on average",
        frames as f64 / count
    );
    if let Some(different) = different {
        println!("ours, gdb's, framehop's: {different:#x?}");
    }
    assert!(count >= 1000.0, "only {count} calls");
    for identical in [as_gdb, as_framehop] {
        assert!(f64::from(identical) / count >= SHARE);
    }
}

/// C++ as it is shipped: optimised, without frame pointers.
#[test]
fn cpp() {
    needs_program!("gdb");
    assert_three_agree("C++", &Command::new(optimised_containers()));
}

/// Python's interpreter, whose stacks are deep.
#[test]
fn python() {
    needs_program!("gdb");
    needs_program!("python3");
    let python = run_tool("python3", &["-c", "import sys; print(sys.executable)"]);
    let mut command = Command::new(python.trim());
    command.arg(programs_dir().join("workload.py"));
    assert_three_agree("python3", &command);
}
