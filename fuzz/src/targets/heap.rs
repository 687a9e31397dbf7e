//! glibc's heap as a target could have forged it: mappings, arenas, chunks, lists.
//!
//! Whatever is in memory, a walk ends, without a panic, and its figures agree
//! with each other: the parts of each arena's resident pages are all of them, and
//! the picture has the same.

use std::io::Read as _;

use flate2::read::ZlibDecoder;
use tracer::heap::{image::Image, walk};

/// A heap of three arenas, recorded.
const RECORDED: &[u8] = include_bytes!("../../seeds/heap.zlib");
const PAGE: u64 = 4096;
/// Larger ones are longer to walk, and no different.
const MAPPED_MAX: u64 = 1 << 28;

pub fn seeds() -> anyhow::Result<Vec<Vec<u8>>> {
    let mut seed = Vec::new();
    ZlibDecoder::new(RECORDED).read_to_end(&mut seed)?;
    // The same memory, taken for that of other releases.
    let of_release = |minor: u64| {
        let mut seed = seed.clone();
        seed[8..16].copy_from_slice(&minor.to_le_bytes());
        seed
    };
    Ok([36, 26, 31, 34, 42, 43].map(of_release).into())
}

pub fn run(bytes: &[u8]) {
    let Some(mut image) = Image::from_bytes(bytes) else {
        return;
    };
    // As /proc/PID/maps has them: in order, of pages, in the lower half.
    let mut end = 0;
    let mut mapped = 0;
    image.mappings.0.retain(|mapping| {
        let length = mapping.end.saturating_sub(mapping.start);
        let is_one = mapping.start >= end
            && length > 0
            && mapping.end < 1 << 47
            && (mapping.start | mapping.end).is_multiple_of(PAGE)
            && mapped + length <= MAPPED_MAX;
        if is_one {
            end = mapping.end;
            mapped += length;
        }
        is_one
    });
    let (version, mappings) = (image.version, image.mappings.clone());
    let Ok(walked) = walk(&mut image, version, &mappings) else {
        return;
    };
    let mut resident = 0;
    for arena in &walked.arenas {
        let pages = &arena.pages;
        let parts = pages.used_bytes + pages.empty_bytes + pages.pinned_bytes;
        assert_eq!(parts + pages.unknown_bytes, pages.resident_bytes);
        assert!(arena.trimmable_bytes <= pages.resident_bytes);
        resident += pages.resident_bytes;
    }
    let cells = walked.occupancy.cells.iter();
    let in_cells =
        cells.map(|it| u64::from(it.empty) + u64::from(it.partly) + u64::from(it.unknown));
    assert_eq!(in_cells.sum::<u64>() * PAGE, resident);
    assert!(walked.largest_free.len() <= 16);
}
