// A profiler's signal handler takes the stack while the allocator is called.
#include <execinfo.h>
#include <signal.h>
#include <sys/time.h>

#include "blocks.h"

static volatile unsigned long taken;

static void on_profile(int signal) {
    (void)signal;
    void *frames[64];
    if (backtrace(frames, 64) > 0) taken++;
}

int main(void) {
    // The first one loads libgcc, which no signal handler should.
    void *frames[4];
    backtrace(frames, 4);
    wait_for_go();
    signal(SIGPROF, on_profile);
    struct itimerval often = {{0, 500}, {0, 500}};
    setitimer(ITIMER_PROF, &often, NULL);
    for (size_t i = 0; taken < 100 || i < 20000; i++) {
        struct block block = by_malloc(i % 1000);
        block = by_realloc(block, i % 700 + 1);
        if (i % 100) release(&block);
    }
    setitimer(ITIMER_PROF, &(struct itimerval){0}, NULL);
    tell("backtraces", taken);
    finish();
    return 0;
}
