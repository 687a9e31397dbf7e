// Allocates as fast as it can until it is told to end; keeps every tenth block.
#include <poll.h>

#include "blocks.h"

SITE(kept);
SITE_FUNCTION struct block kept(size_t size) {
    return entered(malloc(size), size, &site_kept);
}

SITE(passing);
SITE_FUNCTION struct block passing(size_t size) {
    return entered(malloc(size), size, &site_passing);
}

int main(void) {
    struct pollfd input = {.fd = 0, .events = POLLIN};
    wait_for_go();
    while (poll(&input, 1, 0) == 0) {
        for (size_t i = 0; i < 1000; i++) {
            if (i % 10 == 0) kept(64 + i);
            struct block block = passing(100);
            release(&block);
        }
    }
    wait_for_line();
    finish();
    return 0;
}
