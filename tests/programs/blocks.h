// Blocks that know their site, one function for each of the allocator's.
// -DWITHOUT_PVALLOC: for allocators that have none, leave it to libc, or overflow in it.
#pragma once

#include <errno.h>
#include <malloc.h>

#include "truth.h"

struct block {
    void *address;
    size_t size;
    struct site *site;
};

static inline struct block entered(void *address, size_t size, struct site *site) {
    if (address) count_allocated(site, size);
    return (struct block){address, size, site};
}

// The old block of a realloc went, before anyone else can have its address.
static inline void gone(const struct block *block) {
    if (block->address) count_freed(block->site, block->size);
}

SITE(by_malloc);
SITE_FUNCTION struct block by_malloc(size_t size) {
    return entered(malloc(size), size, &site_by_malloc);
}

SITE(by_calloc);
SITE_FUNCTION struct block by_calloc(size_t count, size_t size) {
    return entered(calloc(count, size), count * size, &site_by_calloc);
}

SITE(by_memalign);
SITE_FUNCTION struct block by_memalign(size_t alignment, size_t size) {
    return entered(memalign(alignment, size), size, &site_by_memalign);
}

SITE(by_posix_memalign);
SITE_FUNCTION struct block by_posix_memalign(size_t alignment, size_t size) {
    void *address = NULL;
    if (posix_memalign(&address, alignment, size) != 0) address = NULL;
    return entered(address, size, &site_by_posix_memalign);
}

SITE(by_aligned_alloc);
SITE_FUNCTION struct block by_aligned_alloc(size_t alignment, size_t size) {
    return entered(aligned_alloc(alignment, size), size, &site_by_aligned_alloc);
}

SITE(by_valloc);
SITE_FUNCTION struct block by_valloc(size_t size) {
    return entered(valloc(size), size, &site_by_valloc);
}

#ifdef WITHOUT_PVALLOC
#define by_pvalloc by_valloc
#else
SITE(by_pvalloc);
SITE_FUNCTION struct block by_pvalloc(size_t size) {
    return entered(pvalloc(size), size, &site_by_pvalloc);
}
#endif

// realloc as glibc has it: of NULL it allocates, to 0 it frees, and where it
// fails the old block stays.
static inline struct block resized(struct block old, void *address, size_t size,
                                   struct site *site) {
    if (!address && (size != 0 || !old.address)) return old;
    gone(&old);
    return entered(address, size, site);
}

SITE(by_realloc);
SITE_FUNCTION struct block by_realloc(struct block old, size_t size) {
    return resized(old, realloc(old.address, size), size, &site_by_realloc);
}

SITE(by_reallocarray);
SITE_FUNCTION struct block by_reallocarray(struct block old, size_t count, size_t size) {
    size_t product;
    if (__builtin_mul_overflow(count, size, &product)) product = (size_t)-1;
    return resized(old, reallocarray(old.address, count, size), product, &site_by_reallocarray);
}

SITE_FUNCTION static void release(struct block *block) {
    gone(block);
    free(block->address);
    *block = (struct block){0};
}
