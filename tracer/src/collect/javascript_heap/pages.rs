//! Which memory is V8's heap: its pages, known by their headers.
//!
//! V8 maps its heap in pages of 256 KiB, aligned to as much, and objects too
//! large for one on pages of their own. Each begins with a header that says
//! where it begins and ends (src/heap/basic-memory-chunk.h in V8 10 to 12;
//! from 13 on src/heap/memory-chunk.h, which points at mutable-page-metadata.h):
//!
//! | word | V8 10 | 11, 12 | from 13 | its metadata |
//! | --- | --- | --- | --- | --- |
//! | 0 | size | flags | flags | |
//! | 1 | flags | its address | metadata | its address |
//! | 2 | heap | size | | size |
//! | 3 | objects from | heap | | |
//! | 4 | objects to | objects from | | |
//! | 5 | | objects to | | |
//! | 7 to 9 | | | | objects to, heap, objects from |
//!
//! Pure over these words, which are another process's and may be made up: what
//! does not agree with itself is no page.

/// Pages stand at multiples of this, and most are as long.
pub const PAGE: u64 = 256 << 10;
/// Words of a header, and of its metadata, that are read.
pub const WORDS: usize = 10;
/// No page is longer.
const SIZE_MAX: u64 = 1 << 40;
/// Addresses of programs end here.
const ADDRESSES_END: u64 = 1 << 47;
/// `FROM_PAGE` and `TO_PAGE`, the same in all.
const YOUNG: u64 = 0b11 << 3;

/// The words of a header.
pub type Header = [u64; WORDS];

/// What stands on a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// New objects.
    Young,
    /// Such as have lived on.
    Old,
    /// One that fits no other page.
    Large,
    /// Compiled code; no header says so.
    Code,
}

/// A page of V8's heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its address.
    pub start: u64,
    /// Its bytes.
    pub size: u64,
    /// What stands on it.
    pub kind: Kind,
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is a page's.
    Page(Page),
    /// If it is a page's, there is more of it here.
    Metadata(u64),
    /// It is none.
    Nothing,
}

/// Looks at what stands at `start`, a multiple of [`PAGE`].
pub fn look(start: u64, header: &Header) -> Found {
    let [first, second, third, fourth, fifth, sixth, ..] = *header;
    let page = if second == start {
        page(start, first, third, [fifth, sixth])
    } else {
        page(start, second, first, [fourth, fifth])
    };
    let may_point = second.is_multiple_of(8) && (PAGE..ADDRESSES_END).contains(&second);
    match page {
        Some(page) => Found::Page(page),
        None if may_point => Found::Metadata(second),
        None => Found::Nothing,
    }
}

/// Looks at what a header points at.
pub fn look_again(start: u64, header: &Header, metadata: &Header) -> Option<Page> {
    let objects = [metadata[9], metadata[7]];
    (metadata[1] == start)
        .then(|| page(start, header[0], metadata[2], objects))
        .flatten()
}

fn page(start: u64, flags: u64, size: u64, objects: [u64; 2]) -> Option<Page> {
    let is_size = size.is_multiple_of(4096) && (4096..=SIZE_MAX).contains(&size);
    let end = start.checked_add(size).filter(|_| is_size)?;
    let [from, to] = objects;
    let holds_objects = start < from && from <= to && to <= end;
    let kind = if size != PAGE {
        Kind::Large
    } else if flags & YOUNG != 0 {
        Kind::Young
    } else {
        Kind::Old
    };
    holds_objects.then_some(Page { start, size, kind })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(start: u64, words: [u64; WORDS], metadata: Option<Header>) -> Option<Page> {
        match (look(start, &words), metadata) {
            (Found::Page(page), _) => Some(page),
            (Found::Metadata(_), Some(metadata)) => look_again(start, &words, &metadata),
            _ => None,
        }
    }

    /// Headers as they stood in memory of node 18, 22 and 24 tell pages and kinds.
    #[test]
    fn headers_of_each_version_are_known() {
        let start = 0x2f2_0004_0000;
        let page = |size, kind| Some(Page { start, size, kind });
        let old = |size, flags| {
            let objects = [start + 0x1130, start + size];
            [
                size,
                flags,
                0x14c6_3338,
                objects[0],
                objects[1],
                0x3eeb8,
                0,
                0,
                0,
                0,
            ]
        };
        assert_eq!(of(start, old(PAGE, 0x4), None), page(PAGE, Kind::Old));
        assert_eq!(of(start, old(PAGE, 0x4000a), None), page(PAGE, Kind::Young));
        assert_eq!(
            of(start, old(0x2f4000, 0x84), None),
            page(0x2f4000, Kind::Large)
        );
        let later = |size, flags| {
            let objects = [start + 0x1140, start + size];
            [
                flags,
                start,
                size,
                0x1917_2ea0,
                objects[0],
                objects[1],
                0,
                0,
                0,
                0,
            ]
        };
        assert_eq!(of(start, later(PAGE, 0x12), None), page(PAGE, Kind::Young));
        assert_eq!(of(start, later(PAGE, 0x4), None), page(PAGE, Kind::Old));
        let header = [0x184, 0x25ab_ce00, 0x3c96_31c2_8519, 1, 1, 1, 1, 1, 1, 1];
        let metadata = [
            0x6b8_ed90,
            start,
            PAGE,
            0x3ffe8,
            8,
            0x3fff8,
            PAGE,
            start + PAGE,
            0x2598_9ff8,
            start + 16,
        ];
        assert_eq!(of(start, header, Some(metadata)), page(PAGE, Kind::Old));
        assert_eq!(look(start, &header), Found::Metadata(0x25ab_ce00));
    }

    /// Memory of anything else is no page: glibc's arenas, zeros, text.
    #[test]
    fn others_are_none() {
        let start = 0x7fde_0000_0000;
        assert_eq!(of(start, [0; WORDS], Some([0; WORDS])), None);
        let arena = [
            start + 0x30,
            0,
            0x21000,
            0x21000,
            0x1000,
            0,
            0x2_0000_0000,
            0,
            0,
            0,
        ];
        assert_eq!(of(start, arena, Some(arena)), None);
        let text = [0x6f77_206f_6c6c_6548; WORDS];
        assert_eq!(of(start, text, Some(text)), None);
    }

    proptest! {
        /// Whatever stands there, a page that is found begins where it was looked for and
        /// ends within what addresses can be.
        #[test]
        fn pages_agree_with_themselves(
            at in 1_u64..(1 << 30), header: [u64; WORDS], metadata: [u64; WORDS], own: bool,
        ) {
            let start = at * PAGE;
            let mut header = header;
            if own {
                header[1] = start;
            }
            if let Some(page) = of(start, header, Some(metadata)) {
                prop_assert_eq!(page.start, start);
                prop_assert!(page.size <= SIZE_MAX && page.start.checked_add(page.size).is_some());
            }
        }
    }
}
