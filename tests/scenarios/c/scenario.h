// What the scenarios in C and C++ share: a seed, a barrier, and telling their truth.
//
// A thread writes a line to the file SCENARIO_TRUTH twenty times a second: the time
// (CLOCK_MONOTONIC, ns) and what the program counted of itself by then. The first line
// says that memtrace may attach. "go" on standard input says that it traces; the end of
// standard input ends the program. Nothing here allocates once the thread runs.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// In stacks under its own name.
#define FUNCTION __attribute__((noipa, unused))

// What a program counts itself; zero where it does not.
struct truth {
    unsigned long leaked_bytes; // never to be freed
    unsigned long live_bytes;   // allocated and not freed
    unsigned long queued_bytes; // in the kernel's queues, as the kernel charges them
};

static struct truth truth;
static unsigned long scenario_state;
static int scenario_file = -1, scenario_went;

static inline void count(unsigned long *counter, size_t bytes) {
    __atomic_add_fetch(counter, bytes, __ATOMIC_RELAXED);
}

static inline void uncount(unsigned long *counter, size_t bytes) {
    __atomic_sub_fetch(counter, bytes, __ATOMIC_RELAXED);
}

// Seeds the generator from SCENARIO_SEED. Called first.
static inline void begin(void) {
    const char *seed = getenv("SCENARIO_SEED");
    scenario_state = (seed ? strtoul(seed, NULL, 10) : 1) * 2654435761UL + 88172645463325252UL;
}

// A number below a limit (xorshift64, G. Marsaglia 2003). One thread only.
static inline unsigned long below(unsigned long limit) {
    scenario_state ^= scenario_state << 13;
    scenario_state ^= scenario_state >> 7;
    scenario_state ^= scenario_state << 17;
    return (scenario_state >> 11) % limit;
}

static inline unsigned long between(unsigned long least, unsigned long most) {
    return least + below(most - least + 1);
}

static inline unsigned long now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (unsigned long)time.tv_sec * 1000000000 + (unsigned long)time.tv_nsec;
}

// The program's own pace: an eighth of it work, the rest waiting for requests. Without the work a
// scenario would be made of allocator calls, which no server is, and memtrace would spare it.
static inline void pause_us(unsigned long microseconds) {
    for (unsigned long end = now_ns() + microseconds * 125; now_ns() < end;) {}
    struct timespec time = {(time_t)(microseconds / 1000000),
                            (long)(microseconds % 1000000) * 1000};
    nanosleep(&time, NULL);
}

// Writes over all of it, so that it is resident.
static inline void *touched(void *block, size_t size) {
    if (!block) _exit(92);
    return memset(block, 0x5a, size);
}

// Resident and anonymous, bytes: /proc/self/statm's second field less its third.
static inline unsigned long anonymous_bytes(void) {
    char text[128] = "";
    unsigned long resident = 0, shared = 0;
    int file = open("/proc/self/statm", O_RDONLY);
    if (read(file, text, sizeof text - 1) < 0) _exit(93);
    close(file);
    sscanf(text, "%*u %lu %lu", &resident, &shared);
    return (resident - shared) * 4096;
}

static inline void write_truth(void) {
    char line[300];
    unsigned long time = now_ns();
    int length = snprintf(line, sizeof line,
                          "{\"ns\":%lu,\"pid\":%d,\"leaked_bytes\":%lu,\"live_bytes\":%lu,"
                          "\"queued_bytes\":%lu,\"anonymous_bytes\":%lu}\n",
                          time, (int)getpid(), truth.leaked_bytes, truth.live_bytes,
                          truth.queued_bytes, anonymous_bytes());
    if (write(scenario_file, line, (size_t)length) != length) _exit(94);
}

static inline void *tell(void *unused) {
    struct pollfd input = {0, POLLIN, 0};
    for (;;) {
        write_truth();
        if (poll(&input, 1, 50) == 0) continue;
        char bytes[16];
        if (read(0, bytes, sizeof bytes) <= 0) _exit(0);
        __atomic_store_n(&scenario_went, 1, __ATOMIC_RELEASE);
    }
    return unused;
}

// From here on the truth is told.
static inline void ready(void) {
    const char *path = getenv("SCENARIO_TRUTH");
    scenario_file = open(path ? path : "/dev/stdout", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (scenario_file < 0) _exit(95);
    pthread_t thread;
    if (pthread_create(&thread, NULL, tell, NULL) != 0) _exit(96);
}

// Waits until memtrace traces.
static inline void wait_for_go(void) {
    while (!__atomic_load_n(&scenario_went, __ATOMIC_ACQUIRE)) pause_us(1000);
}
