//! Perf maps: the text files in which a JIT compiler names its code, one
//! `START SIZE name` a line, numbers hexadecimal.
//!
//! Pure over the file's bytes. Which file to believe is decided in
//! [`super::open`].

use super::text;

/// At most this much of a perf map is read: several million entries.
pub const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// The name of each address, by the newest entry that holds it.
///
/// Code moves and its addresses are used again, so later entries override
/// earlier ones: the map is read from its end, and an address is done with the
/// first entry that holds it. A last line without a line feed is still being
/// written and is left out; lines that are not entries are passed over.
#[must_use]
pub fn parse(map: &[u8], addresses: &[u64]) -> Vec<Option<String>> {
    let mut names = vec![None; addresses.len()];
    let mut wanted: Vec<(u64, usize)> = addresses.iter().copied().zip(0..).collect();
    wanted.sort_unstable();
    let complete = map.iter().rposition(|&byte| byte == b'\n').unwrap_or(0);
    for line in map[..complete].rsplit(|&byte| byte == b'\n') {
        if wanted.is_empty() {
            break;
        }
        let Some(entry) = Entry::read(line) else {
            continue;
        };
        let first = wanted.partition_point(|&(address, _)| address < entry.start);
        let end = wanted.partition_point(|&(address, _)| entry.ends_behind(address));
        for (_, index) in wanted.drain(first..end.max(first)) {
            names[index] = Some(text::function_name(entry.name));
        }
    }
    names
}

struct Entry<'map> {
    start: u64,
    size: u64,
    name: &'map [u8],
}

impl<'map> Entry<'map> {
    fn read(line: &'map [u8]) -> Option<Self> {
        let mut fields = line.splitn(3, |&byte| byte == b' ');
        let (start, size, name) = (fields.next()?, fields.next()?, fields.next()?);
        let name = name.trim_ascii();
        (!name.is_empty()).then_some(Self {
            start: hexadecimal(start)?,
            size: hexadecimal(size)?,
            name,
        })
    }

    /// Whether the entry's code ends behind the address.
    fn ends_behind(&self, address: u64) -> bool {
        address < self.start || address - self.start < self.size
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    let digits = digits.strip_prefix(b"0x").unwrap_or(digits);
    // A sign would be accepted by the conversion.
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The shape node writes with `--perf-basic-prof`: names hold spaces and paths.
    #[test]
    fn addresses_get_the_name_of_the_entry_that_holds_them() {
        let map = b"3ef414c0 398 RegExp:[{(]\n\
                    3ef418a0 1b JS:~handle file:///srv/app server.js:10:17\n\
                    0x3ef41900 0x10 Builtin:Call\n";
        let addresses = [0x3ef4_18ba, 0x3ef4_18bb, 0x3ef4_14c0, 0x3ef4_190f, 0];
        let names = parse(map, &addresses);
        let expected = [
            Some("JS:~handle file:///srv/app server.js:10:17"),
            None,
            Some("RegExp:[{(]"),
            Some("Builtin:Call"),
            None,
        ];
        assert_eq!(names, expected.map(|name| name.map(str::to_owned)));
    }

    /// Code is moved and its place used again: the newest entry is the true one.
    #[test]
    fn later_entries_override_earlier_ones() {
        let map = b"1000 100 old\n1080 100 new\n";
        let names = parse(map, &[0x1000, 0x107f, 0x1080, 0x10ff, 0x117f]);
        assert_eq!(names.map_names(), ["old", "old", "new", "new", "new"]);
    }

    /// A line still being written would give half a name.
    #[test]
    fn an_unfinished_last_line_is_left_out() {
        assert_eq!(
            parse(b"1000 10 whole\n1000 10 hal", &[0x1000]).map_names(),
            ["whole"]
        );
        assert_eq!(parse(b"1000 10 hal", &[0x1000]), [None]);
    }

    /// Whoever owns the target writes this file; damage in one line stays there.
    #[test]
    fn damaged_lines_are_passed_over() {
        let map = b"\n1000\n1000 10\n1000 10 \n+1000 10 sign\nxyz 10 word\n\
                    11112222333344445 1 wide\nffffffffffffffff ffffffffffffffff end\n2000 0 empty\n1000 10 fine\n";
        let names = parse(map, &[0x1000, u64::MAX, 0x2000]);
        assert_eq!(
            names,
            [Some("fine".to_owned()), Some("end".to_owned()), None]
        );
    }

    trait MapNames {
        fn map_names(&self) -> Vec<&str>;
    }

    impl MapNames for Vec<Option<String>> {
        fn map_names(&self) -> Vec<&str> {
            self.iter()
                .map(|name| name.as_deref().unwrap_or("-"))
                .collect()
        }
    }

    proptest! {
        /// Any bytes give one bounded answer for each address.
        #[test]
        fn arbitrary_maps_give_one_answer_an_address(
            map in proptest::collection::vec(any::<u8>(), 0..2000),
            addresses in proptest::collection::vec(any::<u64>(), 0..20),
        ) {
            let names = parse(&map, &addresses);
            prop_assert_eq!(names.len(), addresses.len());
            prop_assert!(names.iter().flatten().all(|name| name.len() <= text::MAX_TEXT_BYTES));
        }

        /// The same answers as from a search through all entries, first to last.
        #[test]
        fn overlapping_entries_answer_as_a_plain_search(
            entries in proptest::collection::vec((0_u64..300, 0_u64..80), 0..40),
            addresses in proptest::collection::vec(0_u64..400, 0..40),
        ) {
            let map: String = entries
                .iter()
                .enumerate()
                .map(|(index, (start, size))| format!("{start:x} {size:x} entry {index}\n"))
                .collect();
            let expected: Vec<Option<String>> = addresses
                .iter()
                .map(|address| {
                    entries
                        .iter()
                        .rposition(|(start, size)| (*start..start + size).contains(address))
                        .map(|index| format!("entry {index}"))
                })
                .collect();
            prop_assert_eq!(parse(map.as_bytes(), &addresses), expected);
        }
    }
}
