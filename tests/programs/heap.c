// Heaps of known shapes, and what glibc itself says of them.
// Arguments: shape, blocks a thread, threads. After the truth: trims, and tells
// how much that returned.
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "truth.h"

#define THREADS 8
#define PAGE 4096ul

static const char *shape;
static unsigned long blocks, threads;
static void **held;
static pthread_barrier_t barrier;
static unsigned long turns;

static int is(const char *name) { return !strcmp(shape, name); }

static unsigned long next(unsigned long *state, unsigned long below) {
    *state = *state * 6364136223846793005ul + 1442695040888963407ul;
    return (*state >> 33) % below;
}

static void *fill(void *block, size_t size) {
    if (!block) _exit(92);
    // Other than zeroes: nothing of it may pass for the allocator's.
    memset(block, 0xa5, size);
    return block;
}

static void give_back(void **place) {
    free(*place);
    *place = NULL;
}

// What each thread makes, in its own arena if it has one.
static void make(unsigned long number) {
    void **own = held + number * blocks;
    unsigned long state = number * 977 + 12345;
    for (unsigned long index = 0; index < blocks; index++) {
        size_t size = 16 + next(&state, 1500);
        if (is("large")) size = 100000 + next(&state, 400000);
        if (is("fast") || is("cached") || is("scattered")) size = 16 + next(&state, 100);
        if (is("aligned")) {
            size_t alignment = 16ul << next(&state, 9);
            own[index] = fill(memalign(alignment, size), size);
            if (index % 64 == 0) {
                void *large = memalign(alignment * 16, 300000);
                give_back(&own[index]);
                own[index] = fill(large, 300000);
            }
        } else {
            own[index] = fill(malloc(size), size);
        }
        if (is("moved") && index % 3 == 0) {
            size_t other = 16 + next(&state, index % 300 ? 4000 : 400000);
            own[index] = fill(realloc(own[index], other), other);
        }
    }
}

// What each thread gives back.
static void unmake(unsigned long number) {
    void **own = held + number * blocks;
    unsigned long state = number * 31 + 7;
    for (unsigned long index = 0; index < blocks; index++) {
        unsigned long chance = next(&state, 10);
        int goes = 0;
        if (is("random") || is("trimmed") || is("moved") || is("forked")) goes = chance != 0;
        if (is("aligned") || is("large")) goes = chance < 5;
        if (is("blocked")) goes = chance < 5;
        if (is("runs")) goes = index / 500 % 10 != 0;
        if (is("top")) goes = index > blocks / 4;
        if (is("fast")) goes = chance < 6;
        if (is("scattered")) goes = 0;
        if (is("all")) goes = 1;
        if (goes) give_back(&own[index]);
    }
    if (is("scattered")) {
        // Small blocks given back in no order: fastbins that lead all over.
        for (unsigned long index = 0; index < blocks; index++) {
            unsigned long other = next(&state, blocks);
            if (held[other]) give_back(&held[other]);
        }
    }
    if (is("cached")) {
        // Seven of each size, and no more.
        for (size_t size = 24; size <= 1032; size += 16) {
            void *seven[7];
            for (int index = 0; index < 7; index++) seven[index] = fill(malloc(size), size);
            for (int index = 0; index < 7; index++) free(seven[index]);
        }
    }
}

static void *work(void *number) {
    make((unsigned long)number);
    pthread_barrier_wait(&barrier);
    unmake((unsigned long)number);
    pthread_barrier_wait(&barrier);
    // Always as many blocks, of the same sizes, and never the same ones.
    unsigned long state = 3;
    while (is("busy")) {
        void **place = held + (unsigned long)number * blocks + next(&state, blocks);
        size_t size = malloc_usable_size(*place);
        free(*place);
        *place = malloc(size);
        __atomic_add_fetch(&turns, 1, __ATOMIC_RELAXED);
    }
    // Its cache goes with the thread: it stays.
    for (;;) pause();
    return NULL;
}

// Pages of no file: code that is touched for the first time does not count.
static unsigned long resident(void) {
    char text[4096];
    int file = open("/proc/self/smaps_rollup", O_RDONLY);
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    if (length <= 0) _exit(93);
    text[length] = 0;
    return strtoul(strstr(text, "\nAnonymous:") + 11, NULL, 10) * 1024;
}

static void tell_heap(void) {
    tell("pid", (unsigned long)getpid());
    if (is("busy")) {
        tell("live", blocks * threads);
        return;
    }
    struct mallinfo2 info = mallinfo2();
    unsigned long live = 0, bytes = 0;
    for (unsigned long index = 0; index < blocks * threads; index++) {
        if (!held[index]) continue;
        live++;
        bytes += malloc_usable_size(held[index]);
    }
    tell("live", live);
    tell("live_bytes", bytes);
    tell("arena", info.arena);
    tell("ordblks", info.ordblks);
    tell("smblks", info.smblks);
    tell("hblks", info.hblks);
    tell("hblkhd", info.hblkhd);
    tell("fsmblks", info.fsmblks);
    tell("uordblks", info.uordblks);
    tell("fordblks", info.fordblks);
    tell("keepcost", info.keepcost);
}

int main(int count, char **arguments) {
    if (count < 4) return 90;
    shape = arguments[1];
    blocks = strtoul(arguments[2], NULL, 10);
    threads = strtoul(arguments[3], NULL, 10);
    if (threads > THREADS) return 90;
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    held = mmap(NULL, blocks * threads * sizeof *held, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (is("blocked")) {
        // brk can grow no more after this: the main arena goes on elsewhere.
        free(fill(malloc(1000), 1000));
        mmap((char *)sbrk(0) + 16 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    }
    pthread_barrier_init(&barrier, NULL, threads + 1);
    pthread_t ids[THREADS];
    if (threads > 1) {
        for (unsigned long index = 0; index < threads; index++)
            if (pthread_create(&ids[index], NULL, work, (void *)index)) return 94;
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
    } else {
        make(0);
        if (is("foreign")) {
            // Somebody else moves brk, and malloc has to step over that.
            memset(sbrk(5 * PAGE), 1, 5 * PAGE);
            for (unsigned long index = 0; index < blocks / 2; index++) give_back(&held[index]);
            for (unsigned long index = 0; index < blocks / 2; index++) held[index] = fill(malloc(1600), 1600);
        }
        unmake(0);
    }
    if (is("trimmed")) malloc_trim(0);
    if (is("forked")) {
        pid_t child = fork();
        if (child) {
            int status = 0;
            waitpid(child, &status, 0);
            return WEXITSTATUS(status);
        }
        // The child's own: on top of what it inherited.
        for (unsigned long index = 0; index < blocks; index++)
            if (!held[index]) held[index] = fill(malloc(300), 300);
    }
    wait_for_go();
    tell_heap();
    tell_event("truth");
    wait_for_line();
    if (is("busy")) {
        // It goes on: twice as far as it was.
        unsigned long until = 2 * __atomic_load_n(&turns, __ATOMIC_RELAXED);
        while (__atomic_load_n(&turns, __ATOMIC_RELAXED) < until) usleep(1000);
    }
    unsigned long before = resident();
    malloc_trim(0);
    unsigned long after = resident();
    tell("returned", before > after ? before - after : 0);
    finish();
    return 0;
}
