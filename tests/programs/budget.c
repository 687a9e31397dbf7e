// Programs to be traced under a budget. Each works until a line comes.
//   hot     millions of pairs a second, and a leak of 1,000 blocks of 1,000 bytes a second
//   churn   the same pairs, and 2,000 blocks a second that live for two seconds
//   later   20,000 blocks a second that live for a second; all are freed in the end
//   resize  4,000 blocks a second, resized at half their life; all are freed in the end
#include <poll.h>
#include <time.h>

#include "blocks.h"

SITE(hot);
SITE_FUNCTION struct block hot(size_t size) { return entered(malloc(size), size, &site_hot); }

SITE(kept);
SITE_FUNCTION struct block kept(size_t size) { return entered(malloc(size), size, &site_kept); }

static struct block ring[1 << 16];

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int is_over(void) {
    struct pollfd input = {.fd = 0, .events = POLLIN};
    return poll(&input, 1, 0) != 0;
}

// One step of a ring of blocks that live for `lifetime` of its steps.
static void step(size_t number, size_t lifetime, int resizes, int allocates) {
    struct block *half = &ring[(number - lifetime / 2) % (1 << 16)];
    struct block *old = &ring[(number - lifetime) % (1 << 16)];
    if (resizes && half->address && number >= lifetime / 2) *half = by_realloc(*half, 500);
    if (old->address) release(old);
    if (allocates) ring[number % (1 << 16)] = kept(200);
}

int main(int count, char **arguments) {
    const char *mode = count > 1 ? arguments[1] : "";
    int is_hot = strcmp(mode, "hot") == 0, is_churn = strcmp(mode, "churn") == 0;
    int resizes = strcmp(mode, "resize") == 0;
    double rate = is_hot ? 1000 : is_churn ? 2000 : resizes ? 4000 : 20000;
    size_t lifetime = is_churn ? 4000 : (size_t)rate, number = 0, drained = 0;
    wait_for_go();
    double begun = seconds();
    while (drained < lifetime) {
        size_t due = (size_t)((seconds() - begun) * rate);
        int ends = is_over();
        if (ends && (is_hot || is_churn)) break;
        for (; number < due && drained < lifetime; number++) {
            if (is_hot)
                kept(1000);
            else
                step(number, lifetime, resizes, !ends);
            drained += (size_t)ends;
        }
        if (is_hot || is_churn) {
            for (size_t i = 0; i < 1000; i++) {
                struct block block = hot(64);
                release(&block);
            }
        } else {
            struct timespec moment = {.tv_nsec = 1000000};
            nanosleep(&moment, NULL);
        }
    }
    wait_for_line();
    finish();
    return 0;
}
