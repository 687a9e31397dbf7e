//! An allocator function as its probes know it: one number, which user space
//! puts into the attach cookie (or, below Linux 5.15, into a copy of the
//! program, which is why it has no more than 31 bits).

use crate::source::Source;

/// What to do at a probe, packed: source, which arguments to read, which of
/// its allocator's functions it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct Function(u32);

/// Which arguments an allocating function takes, by position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Shape {
    /// `(size, …)`
    Size = 0,
    /// `(count, size, …)`
    Product = 1,
    /// `(old, size, …)`
    Resize = 2,
    /// `(old, count, size, …)`
    ResizeProduct = 3,
    /// `(any, size, …)`
    SecondSize = 4,
    /// `(result, alignment, size)`
    Result = 5,
    /// `(heap, count, size, …)`
    HeapProduct = 6,
    /// `(heap, old, size, …)`
    HeapResize = 7,
}

const SHAPE: u32 = 8;
const JUMPS: u32 = 1 << 12;
const NUMBER: u32 = 13;
const THROWS: u32 = 1 << 21;
const LOSES_RETURNS: u32 = 1 << 22;

impl Function {
    /// No function.
    pub const NONE: Self = Self(0);

    /// Packs a function. `number` tells the functions of an allocator apart.
    #[must_use]
    pub const fn new(source: Source, shape: Shape, number: u8) -> Self {
        Self(source as u32 | (shape as u32) << SHAPE | (number as u32) << NUMBER)
    }

    /// The same function, of which it is known that it may end by jumping to
    /// another allocator function.
    #[must_use]
    pub const fn jumping(self) -> Self {
        Self(self.0 | JUMPS)
    }

    /// C++'s `new` that may throw, seen by its `ret`s. One for all of an
    /// object: they share code, and so `ret`s. `all_rets`: no way out is unknown.
    #[must_use]
    pub const fn throwing_new(shape: Shape, all_rets: bool) -> Self {
        let new = Self::new(Source::New, shape, 0).jumping();
        Self(new.0 | THROWS | if all_rets { 0 } else { LOSES_RETURNS })
    }

    /// Whether it may throw; without a return it was left by an exception.
    #[inline(always)]
    #[must_use]
    pub const fn throws(self) -> bool {
        self.0 & (THROWS | LOSES_RETURNS) == THROWS
    }

    /// Whether a probe of `other` where it ends may see the end of this one.
    #[inline(always)]
    #[must_use]
    pub const fn ends_as(self, other: Self) -> bool {
        if self.0 & THROWS != 0 {
            other.0 & THROWS != 0
        } else {
            self.0 == other.0
        }
    }

    /// As it stands in a cookie.
    #[inline(always)]
    #[must_use]
    pub const fn from_cookie(cookie: u64) -> Self {
        Self(cookie as u32)
    }

    /// For the cookie.
    #[must_use]
    pub const fn cookie(self) -> u64 {
        self.0 as u64
    }

    /// The number of its [`Source`]; 0: none.
    #[inline(always)]
    #[must_use]
    pub const fn source(self) -> u32 {
        self.0 & 0xff
    }

    /// The number of its [`Shape`].
    #[inline(always)]
    #[must_use]
    pub const fn shape(self) -> u32 {
        self.0 >> SHAPE & 0xf
    }

    /// Whether it is given a block, which it may free: realloc and its kin.
    #[inline(always)]
    #[must_use]
    pub const fn resizes(self) -> bool {
        const RESIZE: u32 = Shape::Resize as u32;
        const RESIZE_PRODUCT: u32 = Shape::ResizeProduct as u32;
        const HEAP_RESIZE: u32 = Shape::HeapResize as u32;
        matches!(self.shape(), RESIZE | RESIZE_PRODUCT | HEAP_RESIZE)
    }

    /// Whether it may end by jumping to another function.
    #[inline(always)]
    #[must_use]
    pub const fn jumps(self) -> bool {
        self.0 & JUMPS != 0
    }
}

/// What a probe on a function that frees is told.
pub mod free {
    /// The function does all of it.
    pub const WHOLE: u64 = 0;
    /// It may hand the block on to another function with a probe (operator
    /// delete to free): the two are one.
    pub const MAY_HAND_ON: u64 = 1;
}

/// What a probe on V8's allocation is told.
pub mod javascript_heap {
    /// The second argument is how many bytes were allocated.
    pub const BUFFER: u64 = 0;
    /// One object of its own; the third argument is its bytes.
    pub const LARGE: u64 = 1;
    /// More at once is no heap of V8's.
    pub const BYTES_MAX: u64 = 1 << 40;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that throw share their `ret`s; that some are unknown is kept.
    #[test]
    fn throwing_ones_are_ended_by_each_others_rets() {
        let whole = Function::throwing_new(Shape::Size, true);
        let partial = Function::throwing_new(Shape::Product, false);
        assert!(whole.ends_as(partial) && partial.ends_as(whole));
        assert!(whole.throws() && !partial.throws());
        let plain = Function::new(Source::New, Shape::Size, 0).jumping();
        assert!(!plain.ends_as(whole) && !whole.ends_as(plain));
        assert!(partial.cookie() < 1 << 31);
    }

    /// What may free the block it is given is told from what only allocates.
    #[test]
    fn reallocations_resize() {
        let shapes = [Shape::Resize, Shape::ResizeProduct, Shape::HeapResize];
        for shape in shapes {
            assert!(Function::new(Source::Realloc, shape, 3).jumping().resizes());
        }
        for shape in [
            Shape::Size,
            Shape::Product,
            Shape::Result,
            Shape::HeapProduct,
        ] {
            assert!(!Function::new(Source::Malloc, shape, 3).resizes());
        }
        assert!(!Function::throwing_new(Shape::SecondSize, true).resizes());
    }

    /// What is packed comes out again, and fits into 31 bits.
    #[test]
    fn packs() {
        for source in Source::ALL {
            for shape in [Shape::Size, Shape::ResizeProduct, Shape::HeapResize] {
                let plain = Function::new(source, shape, 255);
                for function in [plain, plain.jumping()] {
                    let again = Function::from_cookie(function.cookie());
                    assert_eq!(again.source(), source as u32);
                    assert_eq!(again.shape(), shape as u32);
                    assert_eq!(again.jumps(), function != plain);
                    assert!(function.cookie() < 1 << 31);
                }
            }
        }
    }
}
