//! Perf maps: the answers of a plain search, first line to last.

use tracer::symbolize::{MAX_TEXT_BYTES, perf_map};

pub const WORDS: &[&str] = &[
    "\n",
    " ",
    "0x",
    "ffffffffffffffff",
    "+1",
    "JS:~f a.js:1:1",
    "_ZN1a1bEv",
    "\u{1b}[31m",
];

pub fn seeds() -> anyhow::Result<Vec<Vec<u8>>> {
    Ok(vec![
        b"3ef414c0 398 RegExp:[{(]\n3ef418a0 1b JS:~handle file:///srv/app server.js:10:17\n0x3ef41900 0x10 Builtin:Call\n".to_vec(),
        b"1000 100 old\n1080 100 new\n1000 10 hal".to_vec(),
        b"ffffffffffffffff ffffffffffffffff end\n0 1 zero\n".to_vec(),
    ])
}

pub fn run(map: &[u8]) {
    let entries = entries(map);
    let mut addresses = vec![0, u64::MAX];
    for (start, size, _) in entries.iter().take(64) {
        let end = start.wrapping_add(*size);
        addresses.extend([*start, end.wrapping_sub(1), end]);
    }
    let answers = perf_map::parse(map, &addresses);
    assert_eq!(answers.len(), addresses.len());
    for (address, answer) in addresses.iter().zip(&answers) {
        let holds = |entry: &&Entry<'_>| {
            let end = u128::from(entry.0) + u128::from(entry.1);
            (u128::from(entry.0)..end).contains(&u128::from(*address))
        };
        let expected = entries.iter().rfind(holds).map(|entry| entry.2);
        assert_eq!(answer.is_some(), expected.is_some(), "{address:#x}");
        if let (Some(name), Some(raw)) = (answer, expected) {
            assert!(name.len() <= MAX_TEXT_BYTES);
            // Names that are neither mangled nor long nor damaged stay as they are.
            let plain = str::from_utf8(raw)
                .ok()
                .filter(|raw| raw.len() <= MAX_TEXT_BYTES);
            if let Some(plain) = plain.filter(|plain| !plain.starts_with('_')) {
                assert_eq!(name, plain);
            }
        }
    }
}

type Entry<'map> = (u64, u64, &'map [u8]);

/// All entries of the complete lines, first to last.
fn entries(map: &[u8]) -> Vec<Entry<'_>> {
    let mut lines: Vec<&[u8]> = map.split(|byte| *byte == b'\n').collect();
    lines.pop();
    lines.into_iter().filter_map(entry).collect()
}

fn entry(line: &[u8]) -> Option<Entry<'_>> {
    let (start, rest) = cut(line)?;
    let (size, name) = cut(rest)?;
    let name = name.trim_ascii();
    (!name.is_empty()).then_some((number(start)?, number(size)?, name))
}

fn cut(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = text.iter().position(|byte| *byte == b' ')?;
    Some((&text[..space], &text[space + 1..]))
}

fn number(digits: &[u8]) -> Option<u64> {
    let digits = digits.strip_prefix(b"0x").unwrap_or(digits);
    let value = digits.iter().try_fold(0_u128, |value, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        // Far above 64 bits, far below an overflow.
        Some((value << 4 | u128::from(digit)).min(1 << 100))
    })?;
    (!digits.is_empty()).then(|| u64::try_from(value).ok())?
}
