// Threads that allocate from deep stacks, each of functions of its own: a
// stack that holds another thread's function was never anyone's.
// Arguments: rounds.
#include <pthread.h>

#include "truth.h"

#define DEPTH 100

static unsigned long rounds;

// Called through a volatile pointer, so that no frame is optimised away.
#define THREAD(number)                                                         \
    SITE(leaf_##number);                                                       \
    SITE_FUNCTION static void leaf_##number(void) {                            \
        void *block = malloc(100);                                             \
        if (!block) _exit(92);                                                 \
        count_allocated(&site_leaf_##number, 100);                             \
        count_freed(&site_leaf_##number, 100);                                 \
        free(block);                                                           \
    }                                                                          \
    SITE_FUNCTION static unsigned long walk_##number(unsigned long depth) {    \
        if (depth == 0) {                                                      \
            leaf_##number();                                                   \
            return 1;                                                          \
        }                                                                      \
        return walk_##number(depth - 1) + 1;                                   \
    }                                                                          \
    static void *run_##number(void *unused) {                                  \
        for (unsigned long round = 0; round < rounds; round++) walk_##number(DEPTH); \
        return unused;                                                         \
    }

THREAD(0)
THREAD(1)
THREAD(2)
THREAD(3)

int main(int count, char **arguments) {
    void *(*const all[])(void *) = {run_0, run_1, run_2, run_3};
    pthread_t threads[4];
    rounds = count > 1 ? strtoul(arguments[1], NULL, 10) : 10000;
    wait_for_go();
    for (int index = 0; index < 4; index++) {
        if (pthread_create(&threads[index], NULL, all[index], NULL)) _exit(92);
    }
    for (int index = 0; index < 4; index++) pthread_join(threads[index], NULL);
    finish();
    return 0;
}
