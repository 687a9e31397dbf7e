// Why: a cache that fills up while one looks and then stays as it is: for the first part of the
// window it cannot be told from a leak.
// Right answer: healthy. Nothing grows once it is full; what it holds is old, and meant to be.
#include "scenario.h"

#define ENTRIES 6000

static void *entries[ENTRIES];

FUNCTION static void cache_put(size_t entry) {
    size_t size = between(4000, 8000);
    free(entries[entry]);
    entries[entry] = touched(malloc(size), size);
}

int main(void) {
    begin();
    ready();
    wait_for_go();
    // Full after some 4 s.
    for (size_t entry = 0; entry < ENTRIES; entry++) {
        cache_put(entry);
        pause_us(600);
    }
    for (;;) {
        cache_put(below(ENTRIES));
        pause_us(600);
    }
}
