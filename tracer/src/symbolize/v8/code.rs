//! Compiled code (`src/objects/code.tq`): found by an address in it, and which
//! functions the compiler put into it where.

use super::Memory;
use super::answer::DescribedFrame;
use super::exit::{self, EXIT_ELEMENTS, FIRST_EXIT};
use super::function::Info;
use super::heap::{Heap, address_of, integer_of};
use super::positions::{self, Position};

/// Code begins at multiples of this (`kCodeAlignment`, or half of it).
const ALIGNMENT: u64 = 32;
/// How far back the beginning of a function's code is looked for.
const MAX_CODE_BYTES: u64 = 1 << 20;
/// How much of that is read at once: a page, and the heads of what begins in it.
const PAGE_BYTES: u64 = 4096;
const HEAD_BYTES: u64 = 128;
/// Since V8 11.1 the instructions' head holds the code object one or three
/// words before the first of them.
const HEADS: [u64; 2] = [8, 24];
/// Where V8's heap can be: what else looks like a pointer is an instruction.
const HEAP: std::ops::Range<u64> = 1 << 20..1 << 47;
/// Functions put into one another.
const MAX_INLINED: usize = 64;
/// Bytes of each exit back to the interpreter, behind all other code
/// (`Deoptimizer::kLazyDeoptExitSize`).
const EXIT_BYTES: u32 = 4;
/// Behind where functions were put in stand: where the exits begin, how many
/// there are of two kinds, and for each exit some elements, of which the last is
/// the place in the code.
const EXIT_PLACE: u32 = 2;
/// How many elements before the functions put in the loop is told for which
/// code was made.
const LOOP_BEFORE: u32 = 4;
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
        // In the call before that, which may be the last instruction.
        let call = place.checked_sub(1)?;
        let mut page = call & !(PAGE_BYTES - 1);
        for _ in 0..MAX_CODE_BYTES / PAGE_BYTES {
            let (from, bytes) = page_of(heap, page)?;
            let word = |address: u64| {
                let offset = usize::try_from(address.checked_sub(from)?).ok()?;
                let bytes = bytes.get(offset..)?.first_chunk()?;
                Some(u64::from_le_bytes(*bytes))
            };
            let last = call.min(page + (PAGE_BYTES - 1)) & !(ALIGNMENT - 1);
            let starts = (page..=last).rev().step_by(ALIGNMENT as usize);
            let mut codes = starts.filter_map(|start| Self::beginning_at(heap, start, word));
            if let Some(code) = codes.find(|code| code.holds(heap, call)) {
                return Some(code);
            }
            page = page.checked_sub(PAGE_BYTES)?;
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

    fn holds<M: Memory>(&self, heap: &Heap<'_, M>, call: u64) -> bool {
        (self.end(heap)).is_some_and(|end| (self.start..end).contains(&call))
    }

    /// Where its instructions end, and what is told of them begins.
    pub fn end<M: Memory>(&self, heap: &Heap<'_, M>) -> Option<u64> {
        let size = heap.half_word(self.address, heap.layout.code.size)?;
        self.start.checked_add(u64::from(size))
    }

    /// How far into it a frame goes on.
    pub fn place(&self, place: u64) -> Option<u32> {
        u32::try_from(place.checked_sub(self.start)?).ok()
    }

    /// Where in it a frame stands that goes on at `place`: in the call before that.
    fn offset(&self, place: u64) -> Option<u32> {
        self.place(place)?.checked_sub(1)
    }

    /// The same of optimised code. Where that is not to be returned to, V8 puts
    /// an exit back to the interpreter in place of the return address
    /// (`Deoptimizer::DeoptimizeMarkedCode`). TurboFan's exits tell which that
    /// was, Maglev's do not.
    fn offset_before_deoptimization<M: Memory>(
        &self,
        heap: &Heap<'_, M>,
        data: u64,
        place: u64,
    ) -> Option<u32> {
        let inlining = heap.layout.code.inlining;
        let exits = heap.element(data, inlining.checked_add(1)?);
        let exits = exits.and_then(|word| u32::try_from(integer_of(word)?).ok());
        let offset = self.offset(place)?;
        let Some(beyond) = exits.and_then(|exits| (offset + 1).checked_sub(exits)) else {
            return Some(offset);
        };
        let exit = (beyond / EXIT_BYTES).checked_mul(EXIT_ELEMENTS)?;
        let element = inlining.checked_add(FIRST_EXIT + EXIT_PLACE)?;
        let place = integer_of(heap.element(data, element.checked_add(exit)?)?)?;
        let offset = u32::try_from(place.checked_sub(1)?).ok()?;
        exits.filter(|exits| offset < *exits).map(|_| offset)
    }

    fn is_maglev<M: Memory>(&self, heap: &Heap<'_, M>) -> bool {
        self.compiler == heap.layout.code.baseline + 1
    }

    /// It was compiled by Maglev for a loop that was running
    /// (`OsrBytecodeOffset`): its table has the loop's position for all that the
    /// loop calls.
    fn knows_loop_only<M: Memory>(&self, heap: &Heap<'_, M>, data: u64) -> bool {
        let layout = &heap.layout.code;
        let loop_at = layout.inlining.checked_sub(LOOP_BEFORE);
        let word = loop_at.and_then(|index| heap.element(data, index));
        self.is_maglev(heap) && (word.and_then(integer_of)).is_some_and(|offset| offset >= 0)
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
        if self.is_maglev(heap)
            && let Some(exit) = exit::at(heap, self, place)
        {
            return exit::frames(heap, data, exit, own);
        }
        let table = self.table(heap)?;
        let is_flagged = heap.layout.has_flagged_positions();
        let offset = self.offset_before_deoptimization(heap, data, place)?;
        let mut position = positions::at(&table, is_flagged, offset)?;
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
        let known = (!self.knows_loop_only(heap, data)).then_some(position);
        frames.push(own.frame_at(known));
        Some(frames)
    }
}

/// A page's bytes and those before it, as far as there are any: from which
/// address on.
fn page_of<M: Memory>(heap: &Heap<'_, M>, page: u64) -> Option<(u64, Vec<u8>)> {
    let before = page.checked_sub(HEAD_BYTES)?;
    let with_heads = heap.bytes(before, (PAGE_BYTES + HEAD_BYTES) as usize);
    let with_heads = with_heads.map(|bytes| (before, bytes));
    with_heads.or_else(|| Some((page, heap.bytes(page, PAGE_BYTES as usize)?)))
}

/// Of a function put into another: its number among the literals, and where it
/// was called.
fn inlined<M: Memory>(heap: &Heap<'_, M>, data: u64, number: u32) -> Option<(i32, Position)> {
    let table = address_of(heap.element(data, heap.layout.code.inlining)?)?;
    let offset = INLINING_BYTES * u64::from(number.checked_sub(1)?);
    let length = heap.length(table)? as u64;
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
