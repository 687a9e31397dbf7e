//! The names by which allocators are known.

/// Functions of the C allocation interface, with how many of their integer
/// arguments the probe reads.
const INTERFACE: [(&str, usize); 11] = [
    ("malloc", 1),
    ("calloc", 2),
    ("realloc", 2),
    ("reallocarray", 3),
    ("memalign", 2),
    ("posix_memalign", 3),
    ("aligned_alloc", 2),
    ("valloc", 1),
    ("pvalloc", 1),
    ("free", 1),
    ("cfree", 1),
];

/// The interface function of this name, and how many arguments its probe reads.
pub(super) fn interface_function(name: &[u8]) -> Option<(&'static str, usize)> {
    INTERFACE
        .into_iter()
        .find(|(function, _)| function.as_bytes() == name)
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
        _ => return None,
    })
}
