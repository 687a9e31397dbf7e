//! The names by which allocators and their functions are known.

use tracer_common::{function::Shape, source::Source};

/// A function of an allocator's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interface {
    /// Returns a block.
    Allocates(Source, Shape),
    /// C++'s `new`: returns a block or throws, so no return probe may stand on it.
    Throws(Shape),
    /// Takes a block back.
    Frees,
    /// Takes a block back, maybe by handing it on to another that does.
    HandsOn,
}

impl Interface {
    /// How many of its integer arguments its probe reads.
    #[must_use]
    pub const fn arguments(self) -> usize {
        match self {
            Self::Frees | Self::HandsOn => 1,
            Self::Allocates(_, shape) | Self::Throws(shape) => match shape {
                Shape::Size => 1,
                Shape::Product | Shape::Resize | Shape::SecondSize => 2,
                Shape::ResizeProduct | Shape::Result | Shape::HeapProduct | Shape::HeapResize => 3,
            },
        }
    }
}

/// Names under which libraries have the C functions beside their own, so that
/// a program can have two allocators: jemalloc's usual one, Rust's jemalloc's,
/// mimalloc's, tcmalloc's, and glibc's.
const PREFIXES: [&str; 5] = ["je_", "_rjem_", "mi_", "tc_", "__libc_"];

/// The interface function of this name in an object, if it is one.
#[must_use]
pub fn interface(name: &str) -> Option<Interface> {
    if let Some(found) = c_function(name).or_else(|| operator(name)) {
        return Some(found);
    }
    let prefix = PREFIXES.into_iter().find(|it| name.starts_with(it))?;
    let rest = &name[prefix.len()..];
    let own = match prefix {
        "mi_" => mimalloc(rest),
        "tc_" => tcmalloc(rest),
        _ => None,
    };
    own.or_else(|| c_function(rest))
}

/// Whether the name is one that only a certain allocator gives: an object may
/// keep such a function to itself.
#[must_use]
pub fn is_prefixed(name: &str) -> bool {
    PREFIXES.into_iter().any(|prefix| name.starts_with(prefix))
}

/// The C functions, and jemalloc's further ones.
fn c_function(name: &str) -> Option<Interface> {
    use Interface::{Allocates, Frees, HandsOn};
    Some(match name {
        "malloc" => Allocates(Source::Malloc, Shape::Size),
        "calloc" => Allocates(Source::Calloc, Shape::Product),
        "realloc" => Allocates(Source::Realloc, Shape::Resize),
        "reallocarray" => Allocates(Source::Reallocarray, Shape::ResizeProduct),
        "memalign" => Allocates(Source::Memalign, Shape::SecondSize),
        "posix_memalign" => Allocates(Source::PosixMemalign, Shape::Result),
        "aligned_alloc" => Allocates(Source::AlignedAlloc, Shape::SecondSize),
        "valloc" => Allocates(Source::Valloc, Shape::Size),
        "pvalloc" => Allocates(Source::Pvalloc, Shape::Size),
        "mallocx" => Allocates(Source::Mallocx, Shape::Size),
        "rallocx" => Allocates(Source::Rallocx, Shape::Resize),
        "xallocx" => Allocates(Source::Xallocx, Shape::Resize),
        "free" | "cfree" => Frees,
        "free_sized" | "free_aligned_sized" | "dallocx" | "sdallocx" => HandsOn,
        _ => return None,
    })
}

/// C++'s operators, by their mangled names (Itanium ABI: `nw` new, `na` new[],
/// `dl` delete, `da` delete[], `m` size_t).
fn operator(name: &str) -> Option<Interface> {
    let rest = name.strip_prefix("_Z")?;
    if let Some(arguments) = rest
        .strip_prefix("nwm")
        .or_else(|| rest.strip_prefix("nam"))
    {
        return match arguments {
            "" | "St11align_val_t" => Some(Interface::Throws(Shape::Size)),
            "RKSt9nothrow_t" | "St11align_val_tRKSt9nothrow_t" => {
                Some(Interface::Allocates(Source::New, Shape::Size))
            }
            _ => None,
        };
    }
    let deletes = rest.starts_with("dlPv") || rest.starts_with("daPv");
    deletes.then_some(Interface::HandsOn)
}

/// `mi_…`, `mi_heap_…`, each also `…_aligned` and `…_aligned_at`: what these
/// add stands behind the arguments that matter (mimalloc.h).
fn mimalloc(name: &str) -> Option<Interface> {
    use Interface::{Allocates, HandsOn, Throws};
    match name {
        "free_size" | "free_aligned" | "free_size_aligned" | "free_small" => return Some(HandsOn),
        "new" | "new_aligned" => return Some(Throws(Shape::Size)),
        "new_n" => return Some(Throws(Shape::Product)),
        "new_nothrow" | "new_aligned_nothrow" => {
            return Some(Allocates(Source::New, Shape::Size));
        }
        _ => {}
    }
    let (name, has_heap) = match name.strip_prefix("heap_") {
        Some(rest) => (rest, true),
        None => (name, false),
    };
    let plain = name.strip_suffix("_at").unwrap_or(name);
    let plain = plain.strip_suffix("_aligned").unwrap_or(plain);
    let (source, shape) = match plain {
        "malloc" | "malloc_small" => (Source::Malloc, Shape::Size),
        "zalloc" | "zalloc_small" => (Source::Calloc, Shape::Size),
        "calloc" => (Source::Calloc, Shape::Product),
        "mallocn" => (Source::Malloc, Shape::Product),
        "realloc" | "rezalloc" => (Source::Realloc, Shape::Resize),
        "recalloc" | "reallocn" if !has_heap => (Source::Reallocarray, Shape::ResizeProduct),
        _ => return None,
    };
    let shape = match (has_heap, shape) {
        (false, shape) => shape,
        (true, Shape::Size) => Shape::SecondSize,
        (true, Shape::Product) => Shape::HeapProduct,
        (true, _) => Shape::HeapResize,
    };
    Some(Allocates(source, shape))
}

fn tcmalloc(name: &str) -> Option<Interface> {
    Some(match name {
        "new" | "newarray" | "new_aligned" | "newarray_aligned" => Interface::Throws(Shape::Size),
        "new_nothrow" | "newarray_nothrow" | "new_aligned_nothrow" | "newarray_aligned_nothrow" => {
            Interface::Allocates(Source::New, Shape::Size)
        }
        _ if name.starts_with("delete") => Interface::HandsOn,
        _ => return None,
    })
}

/// The allocator that defines a function of this name; the function is one
/// that only this allocator has.
pub(super) fn marked_by(name: &[u8]) -> Option<&'static str> {
    Some(match name {
        b"mallctl" | b"je_mallctl" | b"_rjem_mallctl" => "jemalloc",
        b"tc_malloc"
        | b"MallocExtension_Internal_GetNumericProperty"
        | b"MallocExtension_GetNumericProperty"
        | b"_ZN15MallocExtension8instanceEv" => "tcmalloc",
        b"mi_malloc" => "mimalloc",
        b"sn_malloc" | b"sn_rust_alloc" => "snmalloc",
        b"rpmalloc" => "rpmalloc",
        b"h_malloc" => "hardened_malloc",
        b"__scudo_print_stats" | b"__scudo_default_options" => "scudo",
        b"__asan_init" => "AddressSanitizer",
        // In static programs, which have no name of their library.
        b"__libc_malloc_impl" | b"__malloc_atfork" => "musl",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each family's names give what its header declares; others give nothing.
    #[test]
    fn knows_the_families() {
        use Interface::*;
        let known = [
            ("malloc", Allocates(Source::Malloc, Shape::Size)),
            ("_rjem_rallocx", Allocates(Source::Rallocx, Shape::Resize)),
            (
                "__libc_memalign",
                Allocates(Source::Memalign, Shape::SecondSize),
            ),
            (
                "mi_heap_realloc_aligned_at",
                Allocates(Source::Realloc, Shape::HeapResize),
            ),
            (
                "mi_heap_zalloc",
                Allocates(Source::Calloc, Shape::SecondSize),
            ),
            (
                "mi_posix_memalign",
                Allocates(Source::PosixMemalign, Shape::Result),
            ),
            ("_ZnamSt11align_val_t", Throws(Shape::Size)),
            ("_ZnwmRKSt9nothrow_t", Allocates(Source::New, Shape::Size)),
            ("_ZdlPvmSt11align_val_t", HandsOn),
            ("tc_deletearray_sized", HandsOn),
            ("je_sdallocx", HandsOn),
        ];
        for (name, expected) in known {
            assert_eq!(interface(name), Some(expected), "{name}");
        }
        for name in [
            "mallopt",
            "mi_stats_print",
            "_ZnwmPv",
            "je_mallctl",
            "tc_version",
            "_Zdv",
        ] {
            assert_eq!(interface(name), None, "{name}");
        }
    }
}
