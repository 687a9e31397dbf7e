//! Pools above the allocator: what they hand out is invisible to it, and a
//! stack at which one grew is that of whoever came when it was full.
//!
//! Known by the functions that grow them, among the innermost frames. A pool
//! passes large requests on to malloc: those are no growth of it.

use crate::{
    model::{Frame, Source},
    symbolize::NEAR,
};

/// How far out the function that grows a pool may be.
const FRAMES: usize = 6;

/// Who asks for a pool's memory.
enum From {
    /// The allocator is asked.
    Heap,
    /// The kernel is.
    Mappings,
    /// One or the other, as it was built.
    Either,
}

/// A pool's name, where it gets its memory, and functions that only it has.
type Pool = (&'static str, From, &'static [&'static str]);

const POOLS: [Pool; 6] = [
    (
        // Objects/obmalloc.c: objects above 512 bytes go to malloc, arenas come by mmap.
        "pymalloc",
        From::Mappings,
        &[
            "_PyObject_ArenaMmap",
            "_PyObject_Malloc",
            "_PyObject_Calloc",
            "_PyObject_Realloc",
            "PyObject_Malloc",
            "PyObject_Calloc",
            "PyObject_Realloc",
            "PyMem_Malloc",
            "PyMem_Calloc",
            "PyMem_Realloc",
            "_PyObject_GC_New",
            "_PyObject_New",
            "PyType_GenericAlloc",
            "_PyMem_ArenaAlloc",
        ],
    ),
    (
        // src/core/ngx_palloc.c
        "nginx pool",
        From::Heap,
        &["ngx_create_pool", "ngx_palloc_block"],
    ),
    (
        // memory/unix/apr_pools.c
        "APR pool",
        From::Either,
        &[
            "allocator_alloc",
            "apr_allocator_alloc",
            "apr_palloc",
            "apr_pool_create_ex",
        ],
    ),
    (
        // src/zone/accounting-allocator.cc
        "V8 zone",
        From::Heap,
        &["v8::internal::AccountingAllocator::AllocateSegment"],
    ),
    (
        // Zend/zend_alloc.c
        "Zend heap",
        From::Mappings,
        &[
            "zend_mm_chunk_alloc",
            "zend_mm_chunk_alloc_int",
            "_emalloc",
            "zend_mm_init",
        ],
    ),
    (
        // gc.c
        "Ruby heap",
        From::Either,
        &["heap_page_allocate", "heap_page_create", "rb_newobj"],
    ),
];

/// The pool that grew here, if one did.
pub fn grown(source: Source, frames: &[Frame]) -> Option<&'static str> {
    let is_mapping = matches!(
        source,
        Source::Mmap | Source::Mremap | Source::Brk | Source::Mprotect
    );
    let names = || frames.iter().take(FRAMES).flat_map(|it| &it.function);
    let found = POOLS.iter().find(|(_, from, functions)| {
        let fits = match from {
            From::Heap => !is_mapping,
            From::Mappings => is_mapping,
            From::Either => true,
        };
        fits && names().any(|name| {
            // C++ names carry their arguments.
            let name = name.split('(').next().unwrap_or(name);
            functions.contains(&name)
        })
    })?;
    Some(found.0)
}

/// Sizes of pymalloc's arenas: 256 KiB, since Python 3.10 1 MiB.
const PYTHON_ARENA: u64 = 256 << 10;

/// For a mapping by a Python without symbols, as distributions have it: whole
/// arenas are most likely pymalloc's.
pub fn guessed(frames: &[Frame], usable_bytes: u64) -> Option<&'static str> {
    let is_nameless = |frame: &&Frame| match &frame.function {
        Some(name) => name.starts_with(NEAR),
        None => true,
    };
    let caller = frames.first().filter(is_nameless)?;
    let file = caller.module.rsplit('/').next()?;
    let is_python = file.starts_with("python3") || file.starts_with("libpython3");
    (is_python && usable_bytes > 0 && usable_bytes.is_multiple_of(PYTHON_ARENA))
        .then_some("pymalloc, most likely")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An arena by mmap is pymalloc's, a large object by malloc is not; functions
    /// farther out say nothing.
    #[test]
    fn knows_growth() {
        let frame = |name: &str| Frame {
            function: Some(name.to_owned()),
            ..Frame::default()
        };
        let python = [frame("_PyObject_Malloc"), frame("PyDict_New")];
        assert_eq!(grown(Source::Mmap, &python), Some("pymalloc"));
        assert_eq!(grown(Source::Malloc, &python), None);
        let zone = [frame(
            "v8::internal::AccountingAllocator::AllocateSegment(unsigned long, bool)",
        )];
        assert_eq!(grown(Source::Malloc, &zone), Some("V8 zone"));
        let stripped = Frame {
            module: "/usr/bin/python3.11".to_owned(),
            ..Frame::default()
        };
        let stripped = [stripped];
        assert_eq!(guessed(&stripped, 3 << 20), Some("pymalloc, most likely"));
        let mut near = stripped.clone();
        near[0].function = Some("near PyThread_init_thread+0x108".to_owned());
        assert_eq!(guessed(&near, 3 << 20), Some("pymalloc, most likely"));
        assert_eq!(guessed(&stripped, 3 << 12), None);
        assert_eq!(guessed(&python, 3 << 20), None);
        let mut far = vec![frame("f"); FRAMES];
        far.push(frame("ngx_create_pool"));
        assert_eq!(grown(Source::Malloc, &far), None);
    }
}
