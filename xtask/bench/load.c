// The traced program of the benchmarks. Its first argument says what a line of
// standard input makes it do; it answers each with a line.
//   pairs N DEPTH THREADS   N malloc+free pairs in each thread, DEPTH frames deep:
//                           answers CPU ns and wall ns a pair
//   live N                  allocates N blocks of 48 bytes and keeps them
//   rate R SECONDS          R pairs a second
//   maps N                  N mappings of 64 KiB, touched and unmapped; answers as pairs
//   calls N                 N system calls that do nothing; answers as pairs
//   echo CONNECTIONS N      N messages sent to and fro on TCP connections; answers as
//                           pairs, the CPU time of both ends
#include "echo.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SLOTS 64
static int pairs, depth;

static double clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1e9 + now.tv_nsec;
}

__attribute__((noinline)) static void work(int count) {
    void *volatile slots[SLOTS] = {0};
    for (int i = 0; i < count; i++) {
        int slot = i % SLOTS;
        free(slots[slot]);
        slots[slot] = malloc(40 + i % 32);
    }
    for (int i = 0; i < SLOTS; i++) free(slots[i]);
}

__attribute__((noinline)) static void deeper(int left, int count) {
    if (left > 0) deeper(left - 1, count);
    else work(count);
    __asm__ volatile("");
}

static void *one_thread(void *unused) {
    (void)unused;
    deeper(depth, pairs);
    return NULL;
}

static void run_pairs(int threads) {
    pthread_t ids[64];
    double cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID), wall = clock_ns(CLOCK_MONOTONIC);
    if (threads == 1) one_thread(NULL);
    else {
        for (int i = 0; i < threads; i++) pthread_create(&ids[i], NULL, one_thread, NULL);
        for (int i = 0; i < threads; i++) pthread_join(ids[i], NULL);
    }
    cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    wall = clock_ns(CLOCK_MONOTONIC) - wall;
    double all = (double)pairs * threads;
    printf("%.1f %.1f\n", cpu / all, wall / all);
}

// Of mappings, or of calls that do nothing.
static void run_calls(int count, int maps) {
    double cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID), wall = clock_ns(CLOCK_MONOTONIC);
    for (int i = 0; i < count; i++) {
        if (!maps) {
            syscall(SYS_getppid);
            continue;
        }
        char *start = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (start == MAP_FAILED) exit(3);
        for (int page = 0; page < 16; page++) start[page * 4096] = 1;
        munmap(start, 65536);
    }
    cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    wall = clock_ns(CLOCK_MONOTONIC) - wall;
    printf("%.1f %.1f\n", cpu / count, wall / count);
}

static void run_rate(int rate, int seconds) {
    struct timespec pause = {0, 1000000};
    double start = clock_ns(CLOCK_MONOTONIC);
    long done = 0;
    for (;;) {
        double elapsed = (clock_ns(CLOCK_MONOTONIC) - start) / 1e9;
        if (elapsed >= seconds) break;
        long due = (long)(elapsed * rate) - done;
        if (due > 0) { deeper(depth, due); done += due; }
        nanosleep(&pause, NULL);
    }
    printf("%ld\n", done);
}

// A heap of so many blocks; after the first time, changes to it.
static void run_heap(long blocks) {
    static char **held;
    static unsigned long state = 1;
    const long changes = 2000000;
    if (!held) {
        held = malloc(blocks * sizeof *held);
        for (long i = 0; i < blocks; i++) {
            size_t size = 16 + (state = state * 6364136223846793005ul + 1442695040888963407ul) / 8589934592ul % 472;
            held[i] = memset(malloc(size), 1, size);
        }
        printf("done\n");
        return;
    }
    double wall = clock_ns(CLOCK_MONOTONIC);
    for (long i = 0; i < changes; i++) {
        state = state * 6364136223846793005ul + 1442695040888963407ul;
        // Somewhere near, as programs do: not a cache miss each.
        char **block = &held[(i / 64 * 64 + state / 8589934592ul % 64) % blocks];
        free(*block);
        *block = malloc(16 + state / 1099511627776ul % 472);
    }
    printf("%.1f\n", (clock_ns(CLOCK_MONOTONIC) - wall) / changes);
}

int main(int count, char **arguments) {
    if (count < 3) return 2;
    char line[16];
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!strcmp(arguments[1], "echo")) echo_start(atoi(arguments[2]), atol(arguments[3]));
    printf("up\n");
    while (fgets(line, sizeof line, stdin)) {
        if (!strcmp(arguments[1], "pairs")) {
            pairs = atoi(arguments[2]);
            depth = atoi(arguments[3]);
            run_pairs(atoi(arguments[4]));
        } else if (!strcmp(arguments[1], "maps") || !strcmp(arguments[1], "calls")) {
            run_calls(atoi(arguments[2]), arguments[1][0] == 'm');
        } else if (!strcmp(arguments[1], "heap")) {
            run_heap(atol(arguments[2]));
        } else if (!strcmp(arguments[1], "echo")) {
            echo_run();
        } else if (!strcmp(arguments[1], "live")) {
            for (int i = 0; i < atoi(arguments[2]); i++) {
                void *volatile kept = malloc(48);
                (void)kept;
            }
            printf("done\n");
        } else {
            depth = 6;
            run_rate(atoi(arguments[2]), atoi(arguments[3]));
        }
    }
    return 0;
}
