// Long-lived blocks of one function among short-lived ones of another: when these
// are gone, what stays pins the pages that it is on.
// Arguments: rounds, short-lived blocks a round, in which rounds one stays.
#include <malloc.h>

#include "truth.h"

#define ROUNDS_MAX 100000
#define PASSING_MAX 16
#define KEPT_BYTES 1100
#define PASSING_BYTES 2000

static void *passing[ROUNDS_MAX][PASSING_MAX];

static void *filled(void *block, size_t size) {
    if (!block) _exit(92);
    return memset(block, 0xa5, size);
}

SITE(keep);
SITE_FUNCTION void keep(void) {
    // Nobody frees it: a leak, or what a long life looks like.
    filled(malloc(KEPT_BYTES), KEPT_BYTES);
    count_allocated(&site_keep, KEPT_BYTES);
}

SITE(pass);
SITE_FUNCTION void *pass(void) {
    void *block = filled(malloc(PASSING_BYTES), PASSING_BYTES);
    count_allocated(&site_pass, PASSING_BYTES);
    return block;
}

int main(int count, char **arguments) {
    if (count != 4) return 93;
    unsigned long rounds = strtoul(arguments[1], NULL, 10);
    unsigned long at_once = strtoul(arguments[2], NULL, 10);
    unsigned long every = strtoul(arguments[3], NULL, 10);
    if (rounds > ROUNDS_MAX || at_once > PASSING_MAX || every == 0) return 93;
    wait_for_go();
    for (unsigned long round = 0; round < rounds; round++) {
        for (unsigned long index = 0; index < at_once; index++) passing[round][index] = pass();
        if (round % every == 0) keep();
    }
    for (unsigned long round = 0; round < rounds; round++) {
        for (unsigned long index = 0; index < at_once; index++) {
            free(passing[round][index]);
            count_freed(&site_pass, PASSING_BYTES);
        }
    }
    finish();
    return 0;
}
