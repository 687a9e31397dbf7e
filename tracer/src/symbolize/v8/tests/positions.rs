//! Tables of positions: what an encoder wrote is read.

use proptest::collection::vec;
use proptest::prelude::*;

use super::encoder::{self, Entry, number, position};
use super::layout::SIZES;
use crate::symbolize::v8::positions::{Position, at, bytecode_at, entries};

/// By hand, from the description: a statement at 0 of position 10, an expression
/// at 4 of position 300, one at 5 of position 20.
#[test]
fn a_table_written_by_hand_is_read() {
    let table = [0x02, 0x14, 0x09, 0xc4, 0x04, 0x03, 0xaf, 0x04];
    let expected = [(0, 10), (4, 300), (5, 20)];
    let read: Vec<(u32, i64)> = entries(&table, false)
        .map(|(code, it)| (code, it.0))
        .collect();
    assert_eq!(read, expected);
    // The same with two flags below each step.
    let flagged = [0x07, 0x14, 0x10, 0xc4, 0x04, 0x06, 0xaf, 0x04];
    let read: Vec<(u32, i64)> = entries(&flagged, true)
        .map(|(code, it)| (code, it.0))
        .collect();
    assert_eq!(read, expected);
}

/// A position holds until the next; before the first there is none.
#[test]
fn a_position_holds_up_to_the_next() {
    let table = encoder::statements(&[(4, 10), (9, 30)]);
    let found = [3, 4, 8, 9, u32::MAX].map(|code| at(&table, false, code));
    let [ten, thirty] = [Some(Position(10)), Some(Position(30))];
    assert_eq!(found, [None, ten, ten, thirty, thirty]);
    assert_eq!(at(&[], false, 0), None);
}

/// What a position is made of, at the ends of each part's range.
#[test]
fn positions_are_taken_apart() {
    let parts = |raw: i64| (Position(raw).in_script(), Position(raw).inlined());
    assert_eq!(parts(position(0, 0)), (Some(0), 0));
    assert_eq!(
        parts(position(0x3fff_fffe, 0xffff)),
        (Some(0x3fff_fffe), 0xffff)
    );
    // Unknown, and of what is no script.
    assert_eq!(parts(0), (None, 0));
    assert_eq!(parts(position(77, 3) | 1), (None, 3));
}

/// A table cut short, or of numbers without end, tells what stands before that.
#[test]
fn damaged_tables_end() {
    let table = encoder::statements(&[(4, 10), (300, 3000)]);
    for length in 2..table.len() {
        assert_eq!(
            entries(&table[..length], false).count(),
            1,
            "{length} bytes"
        );
    }
    assert_eq!(entries(&[0xff; 1000], false).count(), 0);
    let endless = [1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    assert_eq!(bytecode_at(&endless, &[4], &SIZES, 5), None);
    // 2^18 entries are read of one table.
    assert_eq!(entries(&vec![0; 3 << 20], false).count(), 1 << 18);
}

/// A bytecode: its number among those of [`SIZES`] and the width of its operands.
type Bytecode = (u8, usize);

/// Its bytes: a prefix where operands are wide, as a debugger has it or not.
fn bytes_of((kind, width): Bytecode, is_debugged: bool) -> Vec<u8> {
    let prefix = [None, Some(0), Some(1)][width].map(|it| it + 2 * u8::from(is_debugged));
    let operands = [1, 2, 4][width] * usize::from(kind - 4);
    let mut bytes: Vec<u8> = prefix.into_iter().chain([kind]).collect();
    bytes.extend(vec![0xff; operands]);
    bytes
}

/// The first bytecode's code begins behind the prologue; a place where the call
/// of a bytecode is belongs to that, up to its last byte.
#[test]
fn a_baseline_place_is_of_the_bytecode_before_it() {
    // Of one byte, of three, of six with a prefix.
    let bytecode = [4, 6, 0xff, 0xff, 0, 6, 0xff, 0xff, 0xff, 0xff, 4];
    let table = [10, 5, 0x80, 0x01, 7, 1];
    let at = |code| bytecode_at(&table, &bytecode, &SIZES, code);
    let places = [0, 9, 10, 14, 15, 142, 143, 149, 150];
    let expected = [0, 0, 0, 0, 1, 1, 4, 4, 10].map(Some);
    assert_eq!(places.map(at), expected);
    // More code than bytecodes, a bytecode that is none, and sizes that are not known.
    assert_eq!(bytecode_at(&[1, 1, 1, 1, 1], &[4, 4], &SIZES, 4), None);
    assert_eq!(bytecode_at(&table, &[8, 4, 4], &SIZES, 12), None);
    assert_eq!(bytecode_at(&table, &bytecode, &[], 12), None);
}

fn flagged_entries() -> impl Strategy<Value = Vec<Entry>> {
    let entry = (0_u32..500, 0_i64..1 << 47, 0_u8..4);
    vec(entry, 0..60).prop_map(|entries| {
        let mut code = 0;
        let entries = entries.into_iter().map(|(step, position, flags)| {
            code += step;
            Entry {
                code,
                position,
                flags,
            }
        });
        entries.collect()
    })
}

proptest! {
    /// Every entry of a table comes back, of statements and expressions, before
    /// V8 14 and since.
    #[test]
    fn entries_come_back(written in flagged_entries(), is_flagged: bool) {
        let table = encoder::table(&written, is_flagged);
        let read: Vec<(u32, i64)> =
            entries(&table, is_flagged).map(|(code, it)| (code, it.0)).collect();
        let expected: Vec<(u32, i64)> =
            written.iter().map(|entry| (entry.code, entry.position)).collect();
        prop_assert_eq!(read, expected);
    }

    /// Every place of baseline code is of the bytecode whose code holds it.
    #[test]
    fn baseline_places_are_of_their_bytecode(
        prologue in 0_u64..300,
        bytecodes in vec((4_u8..8, 0_usize..3, any::<bool>(), 0_u64..300), 1..40),
    ) {
        let mut table = number(prologue);
        let mut bytes = Vec::new();
        // By plain addition, which place is of which bytecode.
        let mut of_place = vec![0; prologue as usize];
        for (kind, width, is_debugged, length) in bytecodes {
            table.extend(number(length));
            of_place.extend(vec![bytes.len() as u32; length as usize]);
            bytes.extend(bytes_of((kind, width), is_debugged));
        }
        for (place, bytecode) in (0..).zip(of_place) {
            let found = bytecode_at(&table, &bytes, &SIZES, place);
            prop_assert_eq!(found, Some(bytecode), "at {}", place);
        }
    }

    /// Any bytes are a table that ends.
    #[test]
    fn arbitrary_tables_end(
        table in vec(any::<u8>(), 0..300),
        bytecode in vec(any::<u8>(), 0..100),
        sizes in vec(any::<u8>(), 0..48),
        code: u32,
    ) {
        for is_flagged in [false, true] {
            prop_assert!(entries(&table, is_flagged).count() <= table.len() / 2);
            let _position = at(&table, is_flagged, code);
        }
        if let Some(found) = bytecode_at(&table, &bytecode, &sizes, code) {
            prop_assert!(found as usize <= bytecode.len());
        }
    }
}
