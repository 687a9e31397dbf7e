// Why: a report of 150 MB was made in the window, and is gone again: glibc gave the blocks back to
// the system (they were mappings of their own).
// Right answer: healthy: the peak has passed, nothing is held.
#include "scenario.h"

#define PARTS 300

FUNCTION static void make_report(void) {
    static void *parts[PARTS];
    for (int part = 0; part < PARTS; part++) {
        parts[part] = touched(malloc(512 * 1024), 512 * 1024);
        pause_us(10000);
    }
    for (int part = 0; part < PARTS; part++) {
        free(parts[part]);
        pause_us(2000);
    }
}

FUNCTION static void serve(void) {
    size_t size = between(500, 60000);
    void *answer = touched(malloc(size), size);
    pause_us(800);
    free(answer);
}

int main(void) {
    begin();
    ready();
    wait_for_go();
    for (unsigned long request = 0, peak = between(800, 1600);; request++) {
        serve();
        if (request == peak) make_report();
    }
}
