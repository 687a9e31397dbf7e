// What outlives a window, and what only looks like it: a function that leaks steadily, a
// cache that fills up in the first part and then changes its entries, a pool that is
// filled at once and used again, and a batch that grows and is freed, again and again.
// Arguments: for how many seconds, exit status, which of them, as letters: l c p b.
#include <time.h>

#include "truth.h"

#define ROUNDS_A_SECOND 200
#define BLOCK 24000
#define CACHE_MAX 8000
#define POOL 1500
#define BATCH 150

static void *cache[CACHE_MAX];
static void *pool[POOL];
static void *batch[BATCH];

static void *filled(void *block, size_t size) {
    if (!block) _exit(92);
    return memset(block, 0xa5, size);
}

SITE(remember);
SITE_FUNCTION void remember(void) {
    filled(malloc(BLOCK), BLOCK);
    count_allocated(&site_remember, BLOCK);
}

SITE(fill_cache);
SITE_FUNCTION void fill_cache(unsigned long entry) {
    if (cache[entry]) {
        free(cache[entry]);
        count_freed(&site_fill_cache, BLOCK);
    }
    cache[entry] = filled(malloc(BLOCK), BLOCK);
    count_allocated(&site_fill_cache, BLOCK);
}

SITE(fill_pool);
SITE_FUNCTION void fill_pool(unsigned long entry) {
    pool[entry] = filled(malloc(BLOCK), BLOCK);
    count_allocated(&site_fill_pool, BLOCK);
}

SITE(add_to_batch);
SITE_FUNCTION void add_to_batch(unsigned long entry) {
    batch[entry] = filled(malloc(BLOCK), BLOCK);
    count_allocated(&site_add_to_batch, BLOCK);
}

static void end_batch(void) {
    for (int entry = 0; entry < BATCH; entry++) {
        if (!batch[entry]) continue;
        free(batch[entry]);
        batch[entry] = NULL;
        count_freed(&site_add_to_batch, BLOCK);
    }
}

// The program's own pace.
static void pause_until(const struct timespec *start, unsigned long round) {
    unsigned long ns = round * (1000000000 / ROUNDS_A_SECOND);
    struct timespec time = {start->tv_sec + (time_t)(ns / 1000000000),
                            start->tv_nsec + (long)(ns % 1000000000)};
    if (time.tv_nsec >= 1000000000) {
        time.tv_nsec -= 1000000000;
        time.tv_sec++;
    }
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) != 0) {}
}

int main(int count, char **arguments) {
    if (count != 4) return 93;
    unsigned long rounds = strtoul(arguments[1], NULL, 10) * ROUNDS_A_SECOND;
    int status = atoi(arguments[2]);
    const char *parts = arguments[3];
    // Full after two fifths of the time, with as much as leaks in all of it.
    unsigned long entries = rounds < CACHE_MAX ? rounds : CACHE_MAX, filling = rounds * 2 / 5;
    unsigned long next = 0;
    wait_for_go();
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (unsigned long round = 0; round < rounds; round++) {
        if (strchr(parts, 'p') && round == 0) {
            for (unsigned long entry = 0; entry < POOL; entry++) fill_pool(entry);
        }
        if (strchr(parts, 'l')) remember();
        if (strchr(parts, 'c')) {
            // From one place: two would be two sites, one of which grows while the other shrinks.
            unsigned long until = round <= filling ? entries * round / filling : next + 1;
            for (; next < until; next++) fill_cache(next < entries ? next : next * 7919 % entries);
        }
        if (strchr(parts, 'b')) {
            add_to_batch(round % BATCH);
            if (round % BATCH == BATCH - 1) end_batch();
        }
        pause_until(&start, round + 1);
    }
    end_batch();
    finish();
    return status;
}
