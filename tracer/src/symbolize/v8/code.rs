//! Compiled code (`src/objects/code.tq`): found by an address in it, and which
//! functions the compiler put into it where.

use super::Memory;
use super::answer::DescribedFrame;
use super::function::Info;
use super::heap::{Heap, address_of};
use super::positions::{self, Position};

/// Code begins at multiples of this (`kCodeAlignment`, or half of it).
const ALIGNMENT: u64 = 32;
/// How far back the beginning of a function's code is looked for.
const MAX_CODE_BYTES: u64 = 1 << 20;
/// How much of that is read at once.
const PIECE_BYTES: u64 = 16 << 10;
/// Since V8 11.1 the instructions' head holds the code object one or three
/// words before the first of them.
const HEADS: [u64; 2] = [8, 24];
/// Where V8's heap can be: what else looks like a pointer is an instruction.
const HEAP: std::ops::Range<u64> = 1 << 20..1 << 47;
/// Functions put into one another.
const MAX_INLINED: usize = 64;
/// Bytes of one entry of the table of functions put into another.
const INLINING_BYTES: u64 = 16;

/// Some code.
pub(super) struct Code {
    address: u64,
    start: u64,
    compiler: u32,
}

impl Code {
    /// The code that holds an address.
    pub fn at<M: Memory>(heap: &Heap<'_, M>, place: u64) -> Option<Self> {
        let last = place & !(ALIGNMENT - 1);
        let mut end = last;
        while last - end < MAX_CODE_BYTES {
            let from = end.checked_sub(PIECE_BYTES)?;
            let piece = heap.bytes(from, PIECE_BYTES as usize);
            // The piece may begin before the memory does.
            let (from, piece) = match piece {
                Some(piece) => (from, piece),
                None => (
                    end & !0xfff,
                    heap.bytes(end & !0xfff, (end & 0xfff) as usize)?,
                ),
            };
            let word = |address: u64| {
                let offset = usize::try_from(address.checked_sub(from)?).ok()?;
                let bytes = piece.get(offset..)?.first_chunk()?;
                Some(u64::from_le_bytes(*bytes))
            };
            let mut start = end;
            while start > from {
                if let Some(code) = Self::beginning_at(heap, start, word)
                    && code.holds(heap, place)
                {
                    return Some(code);
                }
                start -= ALIGNMENT;
            }
            if piece.len() < PIECE_BYTES as usize {
                return None;
            }
            // With the head of what begins at its first byte.
            end = from + ALIGNMENT * 4;
        }
        None
    }

    /// The code whose instructions begin here, if any do.
    fn beginning_at<M: Memory>(
        heap: &Heap<'_, M>,
        start: u64,
        word: impl Fn(u64) -> Option<u64>,
    ) -> Option<Self> {
        let layout = &heap.layout.code;
        let address = if layout.is_apart {
            let heads = HEADS
                .iter()
                .filter_map(|head| word(start.checked_sub(*head)?));
            let heads = heads.filter(|word| HEAP.contains(word));
            let mut codes = heads.filter_map(|word| heap.object(word, layout.kind));
            codes.find(|code| heap.word(*code, layout.start) == Some(start))?
        } else {
            let address = start.checked_sub(u64::from(layout.start))?;
            address_of(word(address)?)?;
            heap.object(address | 1, layout.kind)?
        };
        let flags = heap.half_word(address, layout.flags)?;
        Some(Self {
            address,
            start,
            compiler: (flags & layout.compiler_mask) >> layout.compiler_shift,
        })
    }

    fn holds<M: Memory>(&self, heap: &Heap<'_, M>, place: u64) -> bool {
        let size = heap.half_word(self.address, heap.layout.code.size);
        size.is_some_and(|size| place.wrapping_sub(self.start) <= u64::from(size))
    }

    /// Where in it a frame stands that goes on at `place`: in the call before that.
    fn offset(&self, place: u64) -> Option<u32> {
        u32::try_from(place.checked_sub(self.start)?.checked_sub(1)?).ok()
    }

    /// Each bytecode was turned into code, one after the other.
    pub fn is_baseline<M: Memory>(&self, heap: &Heap<'_, M>) -> bool {
        self.compiler == heap.layout.code.baseline
    }

    fn table<M: Memory>(&self, heap: &Heap<'_, M>) -> Option<Vec<u8>> {
        heap.byte_array(heap.word(self.address, heap.layout.code.positions)?)
    }

    /// Where in its bytecode a baseline function is.
    pub fn bytecode_at<M: Memory>(
        &self,
        heap: &Heap<'_, M>,
        place: u64,
        bytecode: &[u8],
    ) -> Option<u32> {
        let sizes = &heap.layout.bytecode_sizes;
        positions::bytecode_at(&self.table(heap)?, bytecode, sizes, self.offset(place)?)
    }

    /// The frames of optimised code: the function's own is the last. `None`
    /// where the code is not of that function.
    pub fn frames<M: Memory>(
        &self,
        heap: &Heap<'_, M>,
        place: u64,
        own: &Info,
    ) -> Option<Vec<DescribedFrame>> {
        let layout = &heap.layout.code;
        let data = heap.member(self.address, layout.deoptimization)?;
        if let Some(index) = layout.function {
            let mut function = address_of(heap.element(data, index)?)?;
            if layout.is_wrapped {
                function = heap.member(function, 8)?;
            }
            if function != own.address {
                return None;
            }
        }
        let table = self.table(heap)?;
        let is_flagged = heap.layout.has_flagged_positions();
        let mut position = positions::at(&table, is_flagged, self.offset(place)?)?;
        let mut frames = Vec::new();
        while position.inlined() != 0 && frames.len() < MAX_INLINED {
            let (function, call) = inlined(heap, data, position.inlined())?;
            let frame = match u32::try_from(function) {
                Ok(index) => {
                    let literals = address_of(heap.element(data, layout.literals)?)?;
                    Info::of(heap, heap.element(literals, index)?)?.frame(position)
                }
                Err(_itself) => own.frame(position),
            };
            frames.push(frame);
            position = call;
        }
        frames.push(own.frame(position));
        Some(frames)
    }
}

/// Of a function put into another: its number among the literals, and where it
/// was called.
fn inlined<M: Memory>(heap: &Heap<'_, M>, data: u64, number: u32) -> Option<(i32, Position)> {
    let table = address_of(heap.element(data, heap.layout.code.inlining)?)?;
    let offset = INLINING_BYTES * u64::from(number.checked_sub(1)?);
    let length = heap.word(table, heap.layout.array.length)?;
    let length = u64::try_from(super::heap::integer_of(length)?).ok()?;
    if offset + INLINING_BYTES > length {
        return None;
    }
    let elements = u64::from(heap.layout.array.elements);
    let entry = table.checked_add(elements)?.checked_add(offset)?;
    let function = heap.half_word(entry, 8)?;
    Some((
        function.cast_signed(),
        Position(heap.word(entry, 0)?.cast_signed()),
    ))
}
