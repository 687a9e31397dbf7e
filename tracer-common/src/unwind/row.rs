//! Rows: from which place in a file on, how a caller's frame is found.
//!
//! The canonical frame address (CFA, DWARF 5, 6.4) is where the stack pointer
//! stands once a function has returned; the return address is the word below
//! it (System V x86-64 ABI, figure 3.3). A row holds how the CFA is computed
//! and where the caller's frame pointer was saved. In twenty programs of
//! Debian's every offset of a CFA is a multiple of 8 and the frame pointer is
//! saved at most 48 bytes below it, so that a row fits four bytes:
//!
//! ```text
//! bit 31      16 15  14 13      11 10       0
//!    place       kind   saved      offset / 8
//! ```
//!
//! `place`: within the 64 KiB page of the file. `kind`: 1 and 2, CFA = stack
//! or frame pointer + offset; 0, the lower 14 bits number a [`Special`].
//! `saved`: 0, the frame pointer is as it was; n, it was saved at CFA − 8(n+1).

/// Bytes of a file that one page of a table covers, as a power of two.
pub const PAGE_SHIFT: u32 = 16;
/// How many special rules there can be in all tables together.
pub const SPECIALS_MAX: u32 = 4096;

/// How to find the caller's frame: the lower half of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule(pub u16);

/// The register that a CFA is counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// rsp
    StackPointer,
    /// rbp
    FramePointer,
}

const KIND_SHIFT: u32 = 14;
const SAVED_SHIFT: u32 = 11;
const OFFSET_MASK: u16 = (1 << SAVED_SHIFT) - 1;

impl Rule {
    /// Of code that keeps the frame pointer: `push %rbp; mov %rsp, %rbp`.
    pub const FRAME_POINTER: Self = Self(2 << KIND_SHIFT | 1 << SAVED_SHIFT | 2);

    /// A rule, if it fits; `saved` is where the frame pointer was saved, counted
    /// from the CFA.
    #[must_use]
    pub fn new(base: Base, offset: i64, saved: Option<i64>) -> Option<Self> {
        let saved = match saved {
            None => 0,
            Some(offset @ -64..=-16) if offset % 8 == 0 => (-offset / 8 - 1) as u16,
            Some(_) => return None,
        };
        let kind = match base {
            Base::StackPointer => 1,
            Base::FramePointer => 2,
        };
        let words = u16::try_from(offset / 8).ok()?;
        (offset % 8 == 0 && words <= OFFSET_MASK)
            .then_some(Self(kind << KIND_SHIFT | saved << SAVED_SHIFT | words))
    }

    /// The rule of a number in the table of special ones.
    #[must_use]
    pub const fn special(number: u16) -> Self {
        Self(number & ((1 << KIND_SHIFT) - 1))
    }

    /// 1, 2 or 0, see the module's text.
    #[inline(always)]
    #[must_use]
    pub const fn kind(self) -> u16 {
        self.0 >> KIND_SHIFT
    }

    /// The number of the special rule; of [`Self::kind`] 0 only.
    #[inline(always)]
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0 & ((1 << KIND_SHIFT) - 1)
    }

    /// Bytes between the register and the CFA.
    #[inline(always)]
    #[must_use]
    pub const fn offset(self) -> u64 {
        (self.0 & OFFSET_MASK) as u64 * 8
    }

    /// 0, or n where the frame pointer was saved n + 1 words below the CFA.
    #[inline(always)]
    #[must_use]
    pub const fn saved(self) -> u64 {
        (self.0 >> SAVED_SHIFT & 7) as u64
    }
}

/// The row that has `rule` from `place` on.
#[must_use]
pub const fn row(place: u16, rule: Rule) -> u32 {
    (place as u32) << 16 | rule.0 as u32
}

/// A rule that does not fit a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct Special {
    /// [`SpecialKind`], by number.
    pub kind: u32,
    /// [`Saved`], by number.
    pub saved: u32,
    /// Bytes from the register to the CFA or to what points to it.
    /// [`SpecialKind::ProcedureLinkage`]: from which sixteenth of a slot on the
    /// stack is a word deeper.
    pub offset: i32,
    /// Bytes from where the frame pointer was saved to the CFA or the register.
    pub saved_offset: i32,
    /// Bytes from what the register points to, to the CFA.
    pub addend: i32,
    /// Always zero.
    pub reserved: u32,
}

/// How a special rule finds the CFA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum SpecialKind {
    /// Not by these tables: no code, or a rule that was not kept.
    Unknown = 0,
    /// The stack pointer + offset.
    StackPointer = 1,
    /// The frame pointer + offset.
    FramePointer = 2,
    /// A slot of the procedure linkage table: a word or two above the stack
    /// pointer, by how far in its 16 bytes the code is.
    ProcedureLinkage = 3,
    /// The frame that the kernel made for a signal handler
    /// (`struct rt_sigframe`, arch/x86/include/asm/sigframe.h).
    Signal = 4,
    /// What stands at stack pointer + offset, + addend.
    AtStackPointer = 5,
    /// What stands at frame pointer + offset, + addend.
    AtFramePointer = 6,
    /// The outermost frame.
    Root = 7,
}

/// Where a special rule finds the caller's frame pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Saved {
    /// It is as it was.
    Same = 0,
    /// At the CFA + `saved_offset`.
    AtCfa = 1,
    /// At the frame pointer + `saved_offset`.
    AtFramePointer = 2,
    /// Nowhere.
    Lost = 3,
}
