// Why: memory past malloc: mapped directly, and never unmapped.
// Right answer: mapping, of `map_segment`. Each segment is half reserve that nobody has
// touched: only what is resident counts.
#include <sys/mman.h>

#include "scenario.h"

FUNCTION static void map_segment(void) {
    size_t half = between(50, 150) * 4096;
    char *segment = mmap(NULL, 2 * half, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (segment == MAP_FAILED) _exit(1);
    madvise(segment, 2 * half, MADV_NOHUGEPAGE);
    touched(segment, half);
    count(&truth.leaked_bytes, half);
}

FUNCTION static void map_scratch(void) {
    size_t size = between(50, 300) * 4096;
    char *scratch = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (scratch == MAP_FAILED) _exit(1);
    touched(scratch, size);
    munmap(scratch, size);
}

int main(void) {
    begin();
    ready();
    for (;;) {
        map_scratch();
        if (below(2) == 0) map_segment();
        pause_us(50000);
    }
}
