//! Heaps that are built here, chunk by chunk, and recorded ones.

mod build;
mod count;

use std::io::Read as _;

use proptest::prelude::*;

use self::build::{Built, Kind as Piece, build};
use super::{image::Image, memory::PAGE, walk};
use crate::model::heap::{Arena, Chunks, Pages, Walked};

fn pieces() -> impl Strategy<Value = Vec<(Piece, u64)>> {
    let kind = prop_oneof![
        4 => Just(Piece::Live),
        3 => Just(Piece::Free),
        2 => Just(Piece::Fast),
        2 => Just(Piece::Cached),
    ];
    let size = prop_oneof![6 => 2..12u64, 3 => 12..70u64, 1 => 70..3000u64];
    prop::collection::vec((kind, size), 0..120)
}

fn walked(built: &Built) -> Walked {
    let mut image = built.image.clone();
    let (version, mappings) = (image.version, image.mappings.clone());
    walk(&mut image, version, &mappings).unwrap()
}

/// What holds of every walk, whatever the heap.
fn assert_consistent(walked: &Walked) {
    for Arena { pages, chunks, .. } in &walked.arenas {
        let parts = pages.used_bytes + pages.empty_bytes + pages.pinned_bytes;
        assert_eq!(parts + pages.unknown_bytes, pages.resident_bytes);
        assert!(pages.pinned_bytes <= pages.pinning_pages * PAGE);
        assert!(chunks.live_count == 0 || chunks.total() > 0);
    }
    let cells = walked.occupancy.cells.iter();
    let in_cells: u64 = cells
        .map(|it| u64::from(it.empty) + u64::from(it.partly) + u64::from(it.unknown))
        .sum();
    let resident: u64 = walked.arenas.iter().map(|it| it.pages.resident_bytes).sum();
    assert_eq!(in_cells * PAGE, resident);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// Of any heap of any release, with any pages given back to the system, each
    /// figure is that of whoever built it, counted byte by byte.
    #[test]
    fn as_built(
        minor in prop_oneof![26..=27u32, 29..=31u32, 34..=36u32, 41..=43u32],
        arenas in prop::collection::vec(prop::collection::vec(pieces(), 1..3), 1..3),
        holes in any::<u64>(),
    ) {
        let built = build((2, minor), &arenas, holes);
        let walked = walked(&built);
        prop_assert!(walked.quality.is_clean, "{:?}", walked.quality);
        let of = |arena: &Arena| (arena.chunks, arena.pages, arena.trimmable_bytes);
        let found: Vec<(Chunks, Pages, u64)> = walked.arenas.iter().map(of).collect();
        prop_assert_eq!(&found, &built.expected);
        prop_assert_eq!(walked.caches, 1);
        assert_consistent(&walked);
    }

    /// Words that were forged, anywhere, end in figures that still agree with each
    /// other, or in a refusal: in no panic and no endless loop.
    #[test]
    fn forged(
        arenas in prop::collection::vec(prop::collection::vec(pieces(), 1..3), 1..3),
        forgeries in prop::collection::vec((any::<prop::sample::Index>(), 0..512usize, any::<u64>(), 0..4u8), 1..8),
        lost in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
    ) {
        let mut built = build((2, 36), &arenas, 0);
        let pages = built.image.addresses();
        for (page, word, value, kind) in forgeries {
            let address = page.get(&pages) + word as u64 * 8;
            let value = match kind {
                0 => value,
                1 => value % 0x2000,
                2 => page.get(&pages) + value % 0x10000,
                _ => u64::MAX - value % 64,
            };
            built.image.write(address, &value.to_le_bytes());
        }
        for page in lost {
            built.image.put(*page.get(&pages), None);
        }
        let (version, mappings) = (built.image.version, built.image.mappings.clone());
        if let Ok(walked) = walk(&mut built.image, version, &mappings) {
            assert_consistent(&walked);
        }
    }
}

/// A heap that was recorded from a real process is walked as it was then; what
/// glibc's `mallinfo2` said at that moment stands here.
#[test]
fn recorded_heap() {
    let recorded: &[u8] = include_bytes!("../../../fuzz/seeds/heap.zlib");
    let mut bytes = Vec::new();
    flate2::read::ZlibDecoder::new(recorded)
        .read_to_end(&mut bytes)
        .unwrap();
    let mut image = Image::from_bytes(&bytes).unwrap();
    assert_eq!(image.to_bytes(), bytes);
    let (version, mappings) = (image.version, image.mappings.clone());
    let walked = walk(&mut image, version, &mappings).unwrap();
    assert!(walked.quality.is_clean, "{:?}", walked.quality);
    let mut chunks = Chunks::default();
    walked
        .arenas
        .iter()
        .for_each(|arena| chunks += arena.chunks);
    let free = chunks.free_bytes + chunks.fast_bytes + chunks.top_bytes;
    let used = chunks.live_bytes + chunks.overhead_bytes + chunks.cached_bytes;
    assert_eq!(walked.arenas.len(), RECORDED.arenas);
    assert_eq!((used, free), (RECORDED.uordblks, RECORDED.fordblks));
    assert_eq!(chunks.fast_bytes, RECORDED.fsmblks);
    assert_eq!(
        chunks.free_count + walked.arenas.len() as u64,
        RECORDED.ordblks
    );
    assert_eq!(walked.mapped.bytes, RECORDED.hblkhd);
    assert_consistent(&walked);
}

/// `tests/programs/heap.c moved 60 2`, glibc 2.36.
struct Recorded {
    arenas: usize,
    uordblks: u64,
    fordblks: u64,
    fsmblks: u64,
    ordblks: u64,
    hblkhd: u64,
}

const RECORDED: Recorded = Recorded {
    arenas: 3,
    uordblks: 52_736,
    fordblks: 352_768,
    fsmblks: 0,
    ordblks: 37,
    hblkhd: 0,
};
