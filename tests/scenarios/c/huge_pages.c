// Why: transparent huge pages: a sparse table of which one entry in a page is used holds 2 MB for each
// touch, so the resident set runs ahead of what was written.
// Right answer: healthy: the table was allocated once, filled in the first seconds, and is flat since.
#include <sys/mman.h>

#include "scenario.h"

#define TABLE (160UL << 20)
#define HUGE_PAGE (2UL << 20)

int main(void) {
    begin();
    char *table = aligned_alloc(HUGE_PAGE, TABLE);
    if (!table) _exit(1);
    madvise(table, TABLE, MADV_HUGEPAGE);
    ready();
    wait_for_go();
    for (size_t at = 0; at < TABLE; at += HUGE_PAGE) {
        table[at + below(HUGE_PAGE)] = 1;
        pause_us(between(20000, 30000));
    }
    for (;;) {
        for (int touch = 0; touch < 100; touch++) table[below(TABLE)]++;
        pause_us(1000);
    }
}
