// Why: a burst of 60 MB of jobs in the middle of the window, worked off and freed; quiet before and
// after.
// Right answer: healthy: the burst's blocks are gone, and the heap was trimmed or is small.
#include "scenario.h"

#define JOBS 15000

static void *jobs[JOBS];

FUNCTION static void *enqueue(void) {
    size_t size = between(3000, 5000);
    return touched(malloc(size), size);
}

int main(void) {
    begin();
    ready();
    wait_for_go();
    pause_us(between(3, 5) * 1000000);
    for (int job = 0; job < JOBS; job++) {
        jobs[job] = enqueue();
        if (job % 5 == 0) pause_us(1000);
    }
    for (int job = JOBS - 1; job >= 0; job--) {
        free(jobs[job]);
        if (job % 5 == 0) pause_us(1000);
    }
    for (;;) pause_us(100000);
}
