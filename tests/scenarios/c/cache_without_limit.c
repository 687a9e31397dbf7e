// Why: a cache that forgets its limit, under allocators other than glibc's (jemalloc preloaded,
// musl linked): there the heap cannot be walked, and the ledger alone must tell.
// Right answer: leak, of `cache_put`. One entry in four is replaced and freed, so that the
// site frees, too; the truth is what it holds.
#include <malloc.h>

#include "scenario.h"

#define SLOTS 65536

static struct { char *value; size_t size; } slots[SLOTS];
static size_t used;

FUNCTION static void cache_put(size_t slot) {
    size_t size = between(2000, 6000);
    if (slots[slot].value) {
        free(slots[slot].value);
        uncount(&truth.leaked_bytes, slots[slot].size);
    }
    slots[slot].value = touched(malloc(size), size);
    slots[slot].size = size;
    count(&truth.leaked_bytes, size);
}

int main(void) {
    begin();
    ready();
    for (;;) {
        if (used > 100 && below(4) == 0) {
            cache_put(below(used));
        } else if (used < SLOTS) {
            cache_put(used++);
        }
        pause_us(900);
    }
}
