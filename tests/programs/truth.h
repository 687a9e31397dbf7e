// What every traced program shares: counting its own allocations by site, and
// talking to the suite over standard input and output.
//
// A site is a function that calls the allocator itself. Nothing here
// allocates, so that the counts are the whole truth.
#pragma once

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Not inlined, not cloned, not analysed: the function is in the stack under its name.
#define SITE_FUNCTION __attribute__((noipa))

struct site {
    const char *name;
    unsigned long allocated_blocks, allocated_bytes, freed_blocks, freed_bytes;
};

// Declares the counters of the site `function`.
#define SITE(function)                                                         \
    static struct site site_##function = {#function, 0, 0, 0, 0};              \
    __attribute__((section("truth_sites"), used)) static struct site           \
        *const listed_##function = &site_##function

// Provided by the linker: the list that SITE makes.
extern struct site *const __start_truth_sites[] __attribute__((weak));
extern struct site *const __stop_truth_sites[] __attribute__((weak));

static inline void count_allocated(struct site *site, size_t size) {
    __atomic_add_fetch(&site->allocated_blocks, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&site->allocated_bytes, size, __ATOMIC_RELAXED);
}

static inline void count_freed(struct site *site, size_t size) {
    __atomic_add_fetch(&site->freed_blocks, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&site->freed_bytes, size, __ATOMIC_RELAXED);
}

// Writes a line past stdio, whose buffers would be blocks.
static inline void say(const char *line) {
    size_t length = strlen(line);
    while (length > 0) {
        ssize_t written = write(1, line, length);
        if (written <= 0) _exit(90);
        line += written;
        length -= (size_t)written;
    }
}

// Tells a number of the program's own, by name.
static inline void tell(const char *name, unsigned long value) {
    char line[160];
    snprintf(line, sizeof line, "{\"value\":\"%s\",\"is\":%lu}\n", name, value);
    say(line);
}

static inline void tell_event(const char *name) {
    char line[160];
    snprintf(line, sizeof line, "{\"event\":\"%s\"}\n", name);
    say(line);
}

// Tells the counts of every site.
static inline void tell_truth(void) {
    for (struct site *const *site = __start_truth_sites; site < __stop_truth_sites; site++) {
        char line[400];
        snprintf(line, sizeof line,
                 "{\"site\":\"%s\",\"allocated_blocks\":%lu,\"allocated_bytes\":%lu,"
                 "\"freed_blocks\":%lu,\"freed_bytes\":%lu}\n",
                 (*site)->name, (*site)->allocated_blocks, (*site)->allocated_bytes,
                 (*site)->freed_blocks, (*site)->freed_bytes);
        say(line);
    }
    tell_event("truth");
}

// Waits for a line from the suite; without one (it died) the program ends.
static inline void wait_for_line(void) {
    char c = 0;
    do {
        if (read(0, &c, 1) != 1) _exit(91);
    } while (c != '\n');
}

// The barrier before the work: from the answer on, calls count.
static inline void wait_for_go(void) {
    tell_event("ready");
    wait_for_line();
}

// The barrier after the work: tells the truth and waits until the trace has ended.
static inline void finish(void) {
    tell_truth();
    wait_for_line();
}
