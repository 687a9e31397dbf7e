// Blocks from before the trace, which go while it runs.
#include "blocks.h"

#define OLD 3000
static struct block old[OLD];

SITE(before);
SITE_FUNCTION struct block before(size_t size) {
    return entered(malloc(size), size, &site_before);
}

int main(void) {
    for (size_t i = 0; i < OLD; i++) old[i] = before(i % 3 ? i : 140000);
    struct site untraced = site_before;
    site_before = (struct site){.name = untraced.name};
    wait_for_go();
    unsigned long unmatched = 0;
    for (size_t i = 0; i < OLD / 3; i++, unmatched++) free(old[i].address);
    // A realloc gives back too: to another size, and to nothing.
    for (size_t i = OLD / 3; i < OLD / 2; i++, unmatched++) {
        old[i].site = &untraced;
        old[i] = by_realloc(old[i], i % 2 ? 200 : 0);
    }
    // A failed one does not.
    volatile size_t huge = (size_t)-1 / 2;
    for (size_t i = OLD / 2; i < OLD; i++) by_realloc(old[i], huge);
    for (size_t i = 0; i < 1000; i++) {
        struct block block = by_malloc(i);
        if (i % 4) release(&block);
    }
    tell("unmatched_frees", unmatched);
    finish();
    return 0;
}
