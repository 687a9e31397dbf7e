//! Tables as V8 writes them, made anew from its descriptions of them
//! (`source-position-table.cc`, `bytecode-offset-iterator.h`).

/// What an entry is of: V8 tells statements from expressions, since V8 14 by two flags.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub code: u32,
    pub position: i64,
    pub flags: u8,
}

/// Seven bits a byte, the lowest first; each byte but the last is marked.
pub fn number(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 128 {
        bytes.push((number % 128) as u8 + 128);
        number /= 128;
    }
    bytes.push(number as u8);
    bytes
}

/// 0, -1, 1, -2, 2, … become 0, 1, 2, 3, 4, …
pub fn signed(value: i64) -> Vec<u8> {
    let doubled = value.unsigned_abs() * 2;
    number(if value < 0 { doubled - 1 } else { doubled })
}

/// A table of positions; the entries' places in the code rise.
pub fn table(entries: &[Entry], is_flagged: bool) -> Vec<u8> {
    let (mut code, mut position) = (-1, 0);
    let mut bytes = Vec::new();
    for entry in entries {
        let step = i64::from(entry.code) - code;
        bytes.extend(match (is_flagged, entry.flags & 1) {
            (true, _) => number(step as u64 * 4 + u64::from(entry.flags)),
            (false, 1) => signed(step),
            (false, _) => signed(-step - 1),
        });
        bytes.extend(signed(entry.position - position));
        (code, position) = (i64::from(entry.code), entry.position);
    }
    bytes
}

/// A place in a script, in the function itself or in the so-manieth function
/// put into it.
pub fn position(in_script: u32, inlined: u32) -> i64 {
    i64::from(inlined) * (1 << 31) + (i64::from(in_script) + 1) * 2
}

/// A table of statements: from which place in the code on, which position.
pub fn statements(entries: &[(u32, i64)]) -> Vec<u8> {
    let entry = |&(code, position): &(u32, i64)| Entry {
        code,
        position,
        flags: 1,
    };
    let entries: Vec<Entry> = entries.iter().map(entry).collect();
    table(&entries, false)
}
