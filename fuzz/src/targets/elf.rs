//! ELF objects: whatever the bytes, bounded answers or an error.

use tracer::symbolize::{
    MAX_TEXT_BYTES, Symbol,
    elf::{self, MAX_SYMBOLS_PER_OFFSET},
};

pub const WORDS: &[&str] = &[
    "malloc",
    "free",
    "gnu_get_libc_version",
    "_dl_debug_state",
    "GNU C Library ",
    " release version 2.36.",
    ".debug_info",
    ".symtab",
    "_ZN1aILi1EEE",
    "_RNvC6_123foo3bar",
    "S_S0_S1_",
];

/// Offsets looked up in one object.
const LOOK_UPS: u64 = 64;

pub fn run(bytes: &[u8]) {
    inspect(bytes);
    let length = bytes.len() as u64;
    let spread = (0..LOOK_UPS).map(|number| number * length / LOOK_UPS);
    let offsets: Vec<u64> = spread.chain([length, u64::MAX]).collect();
    if let Ok(answers) = elf::symbolize(bytes, &offsets) {
        assert_eq!(answers.len(), offsets.len());
        answers.iter().for_each(|symbols| check(symbols));
    }
}

fn inspect(bytes: &[u8]) {
    let Ok(summary) = elf::inspect(bytes) else {
        return;
    };
    if let Some(id) = &summary.build_id {
        assert!(!id.is_empty() && id.len() <= 128);
        assert!(id.bytes().all(|digit| digit.is_ascii_hexdigit()));
    }
    assert!(
        [&summary.soname, &summary.glibc_version]
            .iter()
            .all(|text| is_short(text))
    );
    assert!(summary.functions.len() <= 64);
    for function in &summary.functions {
        let from_entry = function.probe_offset - function.file_offset;
        assert!(from_entry == 0 || from_entry < function.size);
        assert!(from_entry == 0 || function.emulated);
        assert!(function.probe_offset < bytes.len() as u64);
    }
    let malloc = summary.functions.iter().any(|it| it.name == "malloc");
    assert_eq!(summary.defines_malloc, malloc);
}

fn check(symbols: &[Symbol]) {
    assert!(symbols.len() <= MAX_SYMBOLS_PER_OFFSET);
    for symbol in symbols {
        assert!(is_short(&symbol.function) && is_short(&symbol.file));
        assert!(symbol.function.is_some() || symbol.file.is_some());
        assert_ne!(symbol.line, Some(0));
    }
}

fn is_short(text: &Option<String>) -> bool {
    text.as_ref()
        .is_none_or(|text| text.len() <= MAX_TEXT_BYTES)
}
