//! The parsers against binutils, on the system's libc and on programs compiled
//! here, and against damage.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn system_libc() -> PathBuf {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| line.ends_with("libc.so.6"));
    line.and_then(|line| line.split_whitespace().last())
        .unwrap()
        .into()
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Compiles C with these options; the file lives as long as the directory.
fn compile(directory: &TempDir, source: &str, options: &[&str]) -> PathBuf {
    let path = directory.path().join("program");
    let source_path = directory.path().join("program.c");
    std::fs::write(&source_path, source).unwrap();
    let mut arguments = options.to_vec();
    arguments.extend(["-o", path.to_str().unwrap(), source_path.to_str().unwrap()]);
    output("gcc", &arguments);
    path
}

/// Address and size of each defined function, by name, as `nm` tells it.
fn functions_of_nm(path: &Path, options: &[&str]) -> BTreeMap<String, (u64, u64)> {
    let mut arguments = options.to_vec();
    arguments.extend(["-S", "--defined-only", path.to_str().unwrap()]);
    output("nm", &arguments)
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [address, size, kind, name] = fields[..] else {
                return None;
            };
            let number = |text| u64::from_str_radix(text, 16).unwrap();
            let name = name.split('@').next().unwrap().to_owned();
            "tTW"
                .contains(kind)
                .then(|| (name, (number(address), number(size))))
        })
        .collect()
}

/// In libc's code segment, addresses and file offsets are the same number.
#[test]
fn the_systems_libc_is_known_with_all_its_allocator_functions() {
    let path = system_libc();
    let bytes = std::fs::read(&path).unwrap();
    let summary = inspect(&bytes).unwrap();
    let truth = functions_of_nm(&path, &["-D"]);

    let readelf = output("readelf", &["-n", path.to_str().unwrap()]);
    let build_id = readelf.split("Build ID: ").nth(1).unwrap();
    assert_eq!(summary.build_id.as_deref(), build_id.lines().next());
    let banner = output(path.to_str().unwrap(), &[]);
    let version = banner.split("release version ").nth(1).unwrap();
    assert_eq!(
        summary.glibc_version.as_deref(),
        version.split(".\n").next()
    );
    assert_eq!(summary.soname.as_deref(), Some("libc.so.6"));
    assert!(summary.defines_malloc && !summary.is_static);
    assert_eq!(summary.allocator_name, None);

    let found: BTreeMap<&str, (u64, u64)> = summary
        .functions
        .iter()
        .map(|function| {
            (
                function.name.as_str(),
                (function.file_offset, function.size),
            )
        })
        .collect();
    for name in [
        "malloc",
        "calloc",
        "realloc",
        "reallocarray",
        "memalign",
        "posix_memalign",
        "aligned_alloc",
        "valloc",
        "pvalloc",
        "free",
    ] {
        assert_eq!(found[name], truth[name], "{name}");
    }
    for function in &summary.functions {
        let end = function.file_offset + function.size;
        assert!((function.file_offset..end).contains(&function.probe_offset));
    }
}

/// The places measured for glibc 2.36 on Debian 12; other builds differ.
#[test]
fn probes_on_debians_libc_stand_on_emulated_instructions() {
    let summary = inspect(&std::fs::read(system_libc()).unwrap()).unwrap();
    if summary.glibc_version.as_deref() != Some("2.36") {
        return;
    }
    let places: BTreeMap<&str, (u64, bool)> = summary
        .functions
        .iter()
        .map(|f| {
            (
                f.name.as_str(),
                (f.probe_offset - f.file_offset, f.emulated),
            )
        })
        .collect();
    assert_eq!(places["free"], (3, true));
    for name in ["malloc", "calloc", "realloc"] {
        assert_eq!(places[name], (0, true), "{name}");
    }
    for name in [
        "memalign",
        "aligned_alloc",
        "posix_memalign",
        "valloc",
        "pvalloc",
    ] {
        assert_eq!(places[name], (7, true), "{name}");
    }
    // It multiplies into its third argument at once, then jumps to realloc.
    assert_eq!(places["reallocarray"], (0, false));
}

/// A stripped program still has its dynamic symbols, and the loader its hook.
#[test]
fn the_loader_shows_its_hook() {
    let path = system_libc().with_file_name("ld-linux-x86-64.so.2");
    let summary = inspect(&std::fs::read(&path).unwrap()).unwrap();
    let truth = functions_of_nm(&path, &["-D"]);
    assert_eq!(summary.debug_state_offset, Some(truth["_dl_debug_state"].0));
    assert_eq!(summary.glibc_version, None);
    assert!(!summary.is_static);
}

/// The first, middle and last byte of every function of libc belong to a
/// function that `nm` puts there, under one of its names.
#[test]
fn libc_symbols_agree_with_nm() {
    let path = system_libc();
    let bytes = std::fs::read(&path).unwrap();
    let listed = output(
        "nm",
        &["-D", "-S", "--defined-only", path.to_str().unwrap()],
    );
    // A name may have several versions, each a function of its own.
    let truth: Vec<(u64, u64, &str)> = listed
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [start, size, "t" | "T" | "W" | "i", name] = fields[..] else {
                return None;
            };
            let number = |text| u64::from_str_radix(text, 16).unwrap();
            Some((number(start), number(size), name.split('@').next().unwrap()))
        })
        .collect();
    let unpacked = Unpacked::of(&bytes);
    let object = Object::parse(&bytes, &unpacked).unwrap();
    assert!(truth.len() > 2000);
    for &(start, size, _) in truth.iter().filter(|(_, size, _)| *size > 0) {
        for address in [start, start + size / 2, start + size - 1] {
            let symbols = object.symbolize(address);
            let found = symbols[0].function.as_deref().unwrap();
            let innermost = truth
                .iter()
                .filter(|(start, size, _)| (*start..start + size).contains(&address))
                .map(|(start, ..)| *start)
                .max()
                .unwrap();
            let names: Vec<&str> = truth
                .iter()
                .filter(|(start, ..)| *start == innermost)
                .map(|&(.., name)| name)
                .collect();
            assert!(names.contains(&found), "{address:x} {found} {names:?}");
        }
    }
    let free = truth
        .iter()
        .find(|(.., name)| *name == "__libc_free")
        .unwrap()
        .0;
    assert_eq!(object.symbolize(free)[0].function.as_deref(), Some("free"));
    assert_eq!(object.symbolize(u64::MAX), []);
    assert_eq!(object.symbolize(0), []);
}

const INLINING: &str = r#"
#include <stdlib.h>
volatile int sink;
static inline __attribute__((always_inline)) void *innermost(int size) {
    sink++;
    return malloc(size);
}
static inline __attribute__((always_inline)) void *middle(int size) {
    sink += 2;
    return innermost(size + 1);
}
__attribute__((noinline)) void *outer(int size) {
    void *block = middle(size);
    sink += 3;
    return block;
}
static __attribute__((noinline)) void *hidden(int size) { return outer(size * 2); }
int main(int count, char **arguments) { (void)arguments; free(hidden(count)); return 0; }
"#;

/// Lines and inlined calls as binutils' `addr2line -i` tells them, at every
/// instruction of the program's functions.
#[test]
fn lines_and_inlined_calls_agree_with_addr2line() {
    let directory = TempDir::new().unwrap();
    let path = compile(&directory, INLINING, &["-O1", "-g", "-no-pie"]);
    let bytes = std::fs::read(&path).unwrap();
    let unpacked = Unpacked::of(&bytes);
    let object = Object::parse(&bytes, &unpacked).unwrap();
    let truth = functions_of_nm(&path, &[]);
    let mut deepest = 0;
    for function in ["outer", "hidden", "main"] {
        let (start, size) = truth[function];
        for address in start..start + size {
            let offset = object.image.offset_of_address(address).unwrap();
            let symbols = object.symbolize(offset);
            let told: Vec<String> = symbols
                .iter()
                .map(|symbol| {
                    format!(
                        "{}\n{}:{}",
                        symbol.function.as_deref().unwrap(),
                        symbol.file.as_deref().unwrap(),
                        symbol.line.unwrap()
                    )
                })
                .collect();
            let arguments = [
                "-i",
                "-f",
                "-e",
                path.to_str().unwrap(),
                &format!("{address:x}"),
            ];
            let expected = output("addr2line", &arguments);
            let expected: Vec<&str> = expected
                .lines()
                .map(|line| line.split(" (discriminator").next().unwrap())
                .collect();
            assert_eq!(told.join("\n"), expected.join("\n"), "{address:x}");
            let inlined: Vec<bool> = symbols.iter().map(|symbol| symbol.inlined).collect();
            let mut only_outermost = vec![true; symbols.len()];
            *only_outermost.last_mut().unwrap() = false;
            assert_eq!(inlined, only_outermost);
            deepest = deepest.max(symbols.len());
        }
    }
    assert_eq!(deepest, 3);
}

/// Static functions are named while `.symtab` is there; in a stripped program
/// what is no longer known has no name, rather than a neighbour's.
#[test]
fn a_stripped_program_names_no_strangers() {
    let directory = TempDir::new().unwrap();
    let path = compile(&directory, INLINING, &["-O1"]);
    let (hidden, size) = functions_of_nm(&path, &[])["hidden"];
    let whole = std::fs::read(&path).unwrap();
    let offset = Image::parse(&whole)
        .unwrap()
        .offset_of_address(hidden)
        .unwrap();
    let name = |bytes: &[u8], offset| {
        let symbols = symbolize(bytes, &[offset]).unwrap().remove(0);
        symbols
            .into_iter()
            .next()
            .and_then(|symbol| symbol.function)
    };
    assert_eq!(name(&whole, offset).as_deref(), Some("hidden"));
    assert_eq!(name(&whole, offset + size - 1).as_deref(), Some("hidden"));
    output("strip", &[path.to_str().unwrap()]);
    let stripped = std::fs::read(&path).unwrap();
    assert_eq!(name(&stripped, offset), None);
    assert!(!inspect(&stripped).unwrap().defines_malloc);
}

/// In a stripped library what has no name is placed beside the public function
/// before it, and marked as no more than that.
#[test]
fn a_stripped_library_tells_what_is_near() {
    const SOURCE: &str = "int shown(int n) { return n * 3; }
        static __attribute__((noipa)) int hidden(int n) { return n * 7; }
        int (*kept)(int) = hidden;";
    let directory = TempDir::new().unwrap();
    let options = ["-O1", "-shared", "-fPIC", "-fno-toplevel-reorder"];
    let path = compile(&directory, SOURCE, &options);
    let functions = functions_of_nm(&path, &[]);
    let (hidden, shown) = (functions["hidden"].0, functions["shown"].0);
    let whole = std::fs::read(&path).unwrap();
    let offset = Image::parse(&whole)
        .unwrap()
        .offset_of_address(hidden + 1)
        .unwrap();
    output("strip", &[path.to_str().unwrap()]);
    let stripped = std::fs::read(&path).unwrap();
    let name = |bytes: &[u8]| {
        symbolize(bytes, &[offset])
            .unwrap()
            .remove(0)
            .remove(0)
            .function
    };
    assert_eq!(name(&whole).as_deref(), Some("hidden"));
    let near = format!("near shown+{:#x}", hidden + 1 - shown);
    assert_eq!(name(&stripped), Some(near));
}

/// A separate debug file, compressed as distributions ship it, tells of a
/// stripped program all that the whole one does.
#[test]
fn a_debug_file_is_as_good_as_the_whole() {
    let directory = TempDir::new().unwrap();
    let path = compile(&directory, INLINING, &["-g", "-O2", "-Wl,--build-id"]);
    let (hidden, size) = functions_of_nm(&path, &[])["hidden"];
    let whole = std::fs::read(&path).unwrap();
    let debug_path = directory.path().join("program.debug");
    let (program, debug) = (path.to_str().unwrap(), debug_path.to_str().unwrap());
    let keep = [
        "--only-keep-debug",
        "--compress-debug-sections=zlib",
        program,
        debug,
    ];
    output("objcopy", &keep);
    output("strip", &[program]);
    let linked = directory.path().join("linked");
    let link = format!("--add-gnu-debuglink={debug}");
    output("objcopy", &[&link, program, linked.to_str().unwrap()]);
    let summary = inspect(&std::fs::read(linked).unwrap()).unwrap();
    assert_eq!(summary.debug_link.as_deref(), Some("program.debug"));
    let debug = std::fs::read(debug_path).unwrap();
    assert_eq!(inspect(&debug).unwrap().build_id, summary.build_id);
    let unpacked = Unpacked::of(&debug);
    let object = Object::parse(&debug, &unpacked).unwrap();
    let image = Image::parse(&whole).unwrap();
    for address in hidden..hidden + size {
        let offset = image.offset_of_address(address).unwrap();
        let by_whole = symbolize(&whole, &[offset]).unwrap().remove(0);
        assert!(by_whole[0].line.is_some(), "{by_whole:?}");
        assert_eq!(object.symbolize_address(address), by_whole);
    }
}

/// A static program has its allocator within itself, and no versions.
#[test]
fn a_static_program_is_recognised() {
    let directory = TempDir::new().unwrap();
    let path = compile(&directory, INLINING, &["-O1", "-static"]);
    let summary = inspect(&std::fs::read(&path).unwrap()).unwrap();
    let truth = functions_of_nm(&path, &[]);
    assert!(summary.is_static && summary.defines_malloc);
    let malloc = summary
        .functions
        .iter()
        .find(|f| f.name == "malloc")
        .unwrap();
    assert_eq!(malloc.size, truth["malloc"].1);
}

/// Another allocator is named by functions that only it has.
#[test]
fn other_allocators_are_named() {
    let directory = TempDir::new().unwrap();
    let source = "#include <stddef.h>\nvoid *malloc(size_t s) { (void)s; return 0; }\n\
                  void free(void *p) { (void)p; }\nint mallctl(void) { return 0; }\n";
    let path = compile(&directory, source, &["-shared", "-fPIC", "-fno-builtin"]);
    let summary = inspect(&std::fs::read(&path).unwrap()).unwrap();
    assert!(summary.defines_malloc);
    assert_eq!(summary.allocator_name.as_deref(), Some("jemalloc"));
    assert_eq!(summary.glibc_version, None);
    let names: Vec<&str> = summary.functions.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names.len(), 2);
    assert!(names.contains(&"malloc") && names.contains(&"free"));
}

/// What is no object is said to be none.
#[test]
fn other_files_are_refused() {
    assert!(matches!(inspect(b"#!/bin/sh\n"), Err(ElfError::NotElf)));
    assert!(matches!(inspect(&[]), Err(ElfError::NotElf)));
    let mut foreign = std::fs::read(system_libc()).unwrap();
    foreign[18] = 183;
    assert!(matches!(
        inspect(&foreign),
        Err(ElfError::OtherProcessor(183))
    ));
}

/// A small object with debug information, to be damaged.
fn small_object() -> &'static [u8] {
    static BYTES: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    BYTES.get_or_init(|| {
        let directory = TempDir::new().unwrap();
        std::fs::read(compile(&directory, INLINING, &["-O1", "-g"])).unwrap()
    })
}

fn nothing_panics(bytes: &[u8]) {
    let _any = inspect(bytes);
    if let Ok(found) = symbolize(bytes, &[0, 0x1000, 0x1040, 0x1149, 0x1160, u64::MAX]) {
        assert!(
            found
                .iter()
                .all(|symbols| symbols.len() <= MAX_SYMBOLS_PER_OFFSET)
        );
    }
}

proptest! {
    /// Any bytes behind the magic number give an answer or an error.
    #[test]
    fn arbitrary_bytes_never_panic(rest in proptest::collection::vec(any::<u8>(), 0..4000)) {
        nothing_panics(&rest);
        nothing_panics(&[&b"\x7fELF\x02\x01\x01\x00"[..], &rest].concat());
    }

    /// A real object with some bytes changed, in its headers or anywhere, and cut short.
    #[test]
    fn damaged_objects_never_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..40),
        in_header in proptest::collection::vec((0_usize..64, any::<u8>()), 0..3),
        length in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut bytes = small_object().to_vec();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        for (at, value) in in_header {
            bytes[at] = value;
        }
        if cut {
            bytes.truncate(length.index(bytes.len()));
        }
        nothing_panics(&bytes);
    }
}
