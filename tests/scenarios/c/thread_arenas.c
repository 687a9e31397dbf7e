// Why: a peak long gone that its threads' arenas still hold. glibc gives an arena back from its end
// only; here a small block that stays sits at each end.
// Right answer: retention: nearly all of what is resident is free, on whole pages. Bytes: resident less
// live. `fetch_rows` freed it.
#include <malloc.h>

#include "scenario.h"

#define THREADS 8
#define ROWS 600

static unsigned long rows_of[THREADS], bytes_of[THREADS];
static void *volatile last;

FUNCTION static void fetch_rows(size_t count_rows, size_t size) {
    static __thread void *rows[ROWS];
    for (size_t row = 0; row < count_rows; row++) {
        rows[row] = touched(malloc(size), size);
        count(&truth.live_bytes, malloc_usable_size(rows[row]) + 8);
        pause_us(1500);
    }
    last = touched(malloc(2000), 2000);
    count(&truth.live_bytes, malloc_usable_size(last) + 8);
    for (size_t row = 0; row < count_rows; row++) {
        uncount(&truth.live_bytes, malloc_usable_size(rows[row]) + 8);
        free(rows[row]);
    }
}

static void *work(void *number) {
    size_t thread = (size_t)number;
    fetch_rows(rows_of[thread], bytes_of[thread]);
    for (;;) pause_us(100000);
    return NULL;
}

int main(void) {
    begin();
    for (size_t thread = 0; thread < THREADS; thread++) {
        rows_of[thread] = between(400, ROWS);
        bytes_of[thread] = between(30000, 50000);
    }
    ready();
    wait_for_go();
    for (size_t thread = 0; thread < THREADS; thread++) {
        pthread_t id;
        if (pthread_create(&id, NULL, work, (void *)thread) != 0) _exit(1);
    }
    for (;;) pause_us(100000);
}
