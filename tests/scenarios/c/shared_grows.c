// Why: shared memory (a memfd that is made longer and written to) is neither the allocator's nor
// anonymous: it shows as RssShmem.
// Right answer: mapping, of `extend_ring`, the function that maps it.
#include <sys/mman.h>

#include "scenario.h"

static int ring;
static size_t end;

FUNCTION static void extend_ring(void) {
    size_t more = between(50, 150) * 4096;
    if (ftruncate(ring, (off_t)(end + more)) != 0) _exit(1);
    char *piece = mmap(NULL, more, PROT_READ | PROT_WRITE, MAP_SHARED, ring, (off_t)end);
    if (piece == MAP_FAILED) _exit(1);
    touched(piece, more);
    end += more;
    count(&truth.leaked_bytes, more);
}

int main(void) {
    begin();
    ring = memfd_create("ring", MFD_CLOEXEC);
    ready();
    for (;;) {
        extend_ring();
        pause_us(between(80000, 120000));
    }
}
