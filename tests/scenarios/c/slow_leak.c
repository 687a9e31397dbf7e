// Why: a leak of 1 KB/s. Within any window that one would wait for it is less than what a
// healthy program's heap moves by.
// Right answer: not enough data, with `remember_client` ranked first all the same, as
// nothing else survives. To say leak would be a guess; to say healthy would be wrong.
#include "scenario.h"

static void *volatile last;

FUNCTION static void remember_client(void) {
    size_t size = between(60, 140);
    last = touched(malloc(size), size);
    count(&truth.leaked_bytes, size);
}

FUNCTION static void serve(void) {
    size_t size = between(1000, 20000);
    void *answer = touched(malloc(size), size);
    last = answer;
    free(answer);
}

int main(void) {
    begin();
    ready();
    for (unsigned long request = 0;; request++) {
        serve();
        if (request % 100 == 0) remember_client();
        pause_us(900);
    }
}
