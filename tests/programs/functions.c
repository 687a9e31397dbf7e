// Every function of the allocator, in every way it can be called.
#include "blocks.h"

#define KEPT 4096
static struct block kept[KEPT];
static int kept_count;

static void keep(struct block block) {
    if (block.address) kept[kept_count++ % KEPT] = block;
}

static void must(int holds, const char *what) {
    if (!holds) {
        tell_event(what);
        _exit(92);
    }
}

// Sizes of tcache, fast, small and large bins, and of blocks with a mapping of their own.
static const size_t sizes[] = {0, 1, 24, 25, 100, 1000, 1032, 1033, 5000, 70000, 131072, 1 << 20};
#define SIZES (sizeof sizes / sizeof *sizes)

static void allocate_each(void) {
    for (size_t i = 0; i < SIZES; i++) {
        size_t size = sizes[i];
        for (int round = 0; round < 4; round++) {
            struct block blocks[] = {
                by_malloc(size),
                by_calloc(3, size),
                by_calloc(size, 1),
                by_memalign(8, size), // no more than malloc's own: it jumps there
                by_memalign(16, size),
                by_memalign(256, size),
                by_posix_memalign(8, size),
                by_posix_memalign(4096, size),
                by_aligned_alloc(16, size),
                by_aligned_alloc(64, size),
                by_valloc(size),
                by_pvalloc(size),
                by_realloc((struct block){0}, size),
                by_reallocarray((struct block){0}, 2, size),
            };
            size_t count = sizeof blocks / sizeof *blocks;
            for (size_t block = 0; block < count; block++) {
                must(blocks[block].address != NULL, "an allocation failed");
                // Different fractions stay for different functions.
                if ((block + (size_t)round) % 3 == 0) keep(blocks[block]);
                else release(&blocks[block]);
            }
        }
    }
}

static void resize_each(void) {
    for (size_t from = 0; from < SIZES; from++) {
        for (size_t to = 0; to < SIZES; to++) {
            struct block block = by_realloc(by_malloc(sizes[from]), sizes[to]);
            block = by_reallocarray(block, 1, sizes[from]);
            block = by_realloc(block, sizes[to] + 1);
            if ((from + to) % 2) keep(block);
            else release(&block);
            // From an aligned block, and in the allocator's own granularity.
            block = by_realloc(by_memalign(128, sizes[from]), sizes[to]);
            keep(by_realloc(block, sizes[to] + 3));
        }
    }
    // Grown step by step, as buffers are.
    struct block grown = {0};
    for (size_t size = 1; size <= 4 << 20; size *= 2) grown = by_realloc(grown, size);
    for (size_t size = 4 << 20; size >= 16; size /= 3) grown = by_realloc(grown, size);
    keep(grown);
}

static void fail_each(void) {
    volatile size_t huge = (size_t)-1 / 2, most = (size_t)-1;
    struct block small = by_malloc(500), mapped = by_malloc(300000);
    for (int round = 0; round < 10; round++) {
        must(!by_malloc(huge).address, "huge malloc");
        must(!by_calloc(most, 2).address, "overflowing calloc");
        must(!by_calloc(huge, 1).address, "huge calloc");
        must(!by_memalign(4096, huge).address, "huge memalign");
        must(!by_posix_memalign(64, huge).address, "huge posix_memalign");
        must(!by_posix_memalign(3, 100).address, "posix_memalign EINVAL");
        must(!by_aligned_alloc(64, huge).address, "huge aligned_alloc");
        must(!by_valloc(huge).address, "huge valloc");
#ifndef WITHOUT_PVALLOC
        must(!by_pvalloc(most - 10).address, "huge pvalloc");
#endif
        must(by_realloc(small, huge).address == small.address, "huge realloc");
        must(by_realloc(mapped, huge).address == mapped.address, "huge mapped realloc");
        must(by_reallocarray(small, most, 2).address == small.address, "overflow");
        must(by_reallocarray(mapped, huge, 1).address == mapped.address, "huge reallocarray");
        must(!by_realloc((struct block){0}, huge).address, "huge realloc of NULL");
    }
    keep(small);
    keep(mapped);
    free(NULL);
}

int main(void) {
    wait_for_go();
    allocate_each();
    resize_each();
    fail_each();
    finish();
    return 0;
}
