// Why: a buffer pool gives its pages back lazily (MADV_FREE): the kernel takes them only when it needs
// them, so that the resident set stays at its peak.
// Right answer: healthy: these pages are the kernel's to take (LazyFree in smaps).
#include <sys/mman.h>

#include "scenario.h"

#define POOL (200UL << 20)
#define PIECE (4UL << 20)

int main(void) {
    begin();
    char *pool = mmap(NULL, POOL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pool == MAP_FAILED) _exit(1);
    madvise(pool, POOL, MADV_NOHUGEPAGE);
    ready();
    wait_for_go();
    for (;;) {
        for (size_t at = 0; at < POOL; at += PIECE) {
            touched(pool + at, PIECE);
            pause_us(between(20000, 40000));
            madvise(pool + at, PIECE, MADV_FREE);
        }
    }
}
