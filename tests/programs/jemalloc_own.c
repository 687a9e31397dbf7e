// jemalloc's own interface, in every way it can be called.
#include <jemalloc/jemalloc.h>

#include "truth.h"

#define BLOCKS 600

static void *entered(void *address, size_t size, struct site *site) {
    if (address) count_allocated(site, size);
    return address;
}

SITE(by_mallocx);
SITE_FUNCTION static void *by_mallocx(size_t size, int flags) {
    return entered(mallocx(size, flags), size, &site_by_mallocx);
}

SITE(by_rallocx);
SITE_FUNCTION static void *by_rallocx(void *old, struct site *of, size_t old_size, size_t size) {
    void *address = rallocx(old, size, 0);
    if (!address) return NULL;
    count_freed(of, old_size);
    return entered(address, size, &site_by_rallocx);
}

// The block stays where it is, and has that many bytes or its old ones.
SITE(by_xallocx);
SITE_FUNCTION static size_t by_xallocx(void *block, size_t size) {
    return xallocx(block, size, 0, 0);
}

int main(void) {
    wait_for_go();
    for (size_t index = 0; index < BLOCKS; index++) {
        size_t size = 1 + index * 37;
        struct site *of = &site_by_mallocx;
        void *block = by_mallocx(size, index % 2 ? MALLOCX_ALIGN(128) : MALLOCX_ZERO);
        if (index % 3 == 0) {
            if (by_rallocx(block, of, size, 1ul << 50)) _exit(92);
            block = by_rallocx(block, of, size, size * 2 + 1);
            of = &site_by_rallocx, size = size * 2 + 1;
        }
        if (index % 5 == 0) {
            size_t wanted = index % 10 ? size : size + 1;
            if (by_xallocx(block, wanted) >= wanted) {
                count_freed(of, size);
                of = &site_by_xallocx, size = wanted;
                count_allocated(of, size);
            }
            if (by_xallocx(block, 1ul << 40) >= 1ul << 40) _exit(92);
        }
        switch (index % 4) {
        case 0: continue;
        case 1: dallocx(block, 0); break;
        case 2: sdallocx(block, size, 0); break;
        default: free(block);
        }
        count_freed(of, size);
    }
    finish();
    return 0;
}
