// Why: a working set of steady size in which everything is replaced all the time, under each
// allocator (glibc, jemalloc preloaded, musl linked): the allocator's own caches fill while one looks.
// Right answer: healthy: as much is freed as is allocated.
#include "scenario.h"

#define BLOCKS 20000

static void *blocks[BLOCKS];

FUNCTION static void *replace(void *block) {
    size_t size = below(10) ? between(16, 1500) : between(1500, 12000);
    free(block);
    return touched(malloc(size), size);
}

int main(void) {
    begin();
    for (int block = 0; block < BLOCKS; block++) blocks[block] = replace(NULL);
    ready();
    for (;;) {
        for (int step = 0; step < 10; step++) {
            size_t block = below(BLOCKS);
            blocks[block] = replace(blocks[block]);
        }
        pause_us(2500);
    }
}
