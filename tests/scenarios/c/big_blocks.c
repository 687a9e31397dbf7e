// Why: blocks over malloc's mmap threshold are mappings of their own: the arenas do not
// grow, and the free share of the heap stays nothing.
// Right answer: leak (not mapping: malloc was asked), of `load_frame`. All bytes are written
// to, so that what is requested is resident.
#include <malloc.h>

#include "scenario.h"

static void *volatile last;

FUNCTION static void load_frame(void) {
    size_t size = between(300, 1500) * 1024;
    last = touched(malloc(size), size);
    count(&truth.leaked_bytes, size);
}

// The same size, given back: it must not be named.
FUNCTION static void convert_frame(void) {
    size_t size = between(300, 1500) * 1024;
    void *frame = touched(malloc(size), size);
    last = frame;
    free(frame);
}

int main(void) {
    begin();
    // Or glibc raises its threshold above these sizes at the first free.
    mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    ready();
    for (;;) {
        convert_frame();
        if (below(3) == 0) load_frame();
        pause_us(100000);
    }
}
