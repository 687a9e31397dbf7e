// Why: a program maps files and reads them, as databases do: its resident set grows by the page
// cache's pages, which the kernel takes back when it needs them.
// Right answer: mapping, of `open_segment`; not a leak of the allocator.
#include <sys/mman.h>

#include "scenario.h"

#define SEGMENT (4UL << 20)

static char path[] = "/var/tmp/scenario-page-cache-XXXXXX";
static volatile unsigned long sum;

FUNCTION static void open_segment(int file, off_t offset) {
    const char *pages = mmap(NULL, SEGMENT, PROT_READ, MAP_SHARED, file, offset);
    if (pages == MAP_FAILED) _exit(1);
    for (size_t at = 0; at < SEGMENT; at += 4096) {
        sum += (unsigned char)pages[at];
        if (at % (SEGMENT / 4) == 0) pause_us(between(50000, 90000));
    }
    count(&truth.leaked_bytes, SEGMENT);
}

int main(void) {
    begin();
    int file = mkstemp(path);
    unlink(path);
    size_t size = 512UL << 20;
    static char data[1 << 20];
    for (size_t at = 0; at < size; at += sizeof data) {
        memset(data, (int)(at >> 20), sizeof data);
        if (write(file, data, sizeof data) != sizeof data) _exit(1);
    }
    ready();
    for (size_t at = 0; at + SEGMENT <= size; at += SEGMENT) open_segment(file, (off_t)at);
    for (;;) pause_us(100000);
}
