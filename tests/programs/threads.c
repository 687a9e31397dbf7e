// Eight threads that allocate, reallocate and free each other's blocks.
// With the argument `one` they all share one arena.
#include <pthread.h>
#include <stdint.h>

#include "blocks.h"

#define THREADS 8
#define SLOTS 1024
#define ROUNDS 12000

// A block says of itself what is to be counted when it goes.
struct header {
    size_t size;
    struct site *site;
};

static struct header *slots[SLOTS];

static struct header *labelled(struct block block) {
    struct header *header = block.address;
    header->size = block.size;
    header->site = block.site;
    return header;
}

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

// The old block is counted gone before the call: at the return another thread
// may have its address already.
static void leaves(struct header *old) {
    count_freed(old->site, old->size);
}

SITE(resized_by_realloc);
SITE_FUNCTION struct header *resized_by_realloc(struct header *old, size_t size) {
    leaves(old);
    return labelled(entered(realloc(old, size), size, &site_resized_by_realloc));
}

SITE(resized_by_reallocarray);
SITE_FUNCTION struct header *resized_by_reallocarray(struct header *old, size_t size) {
    leaves(old);
    return labelled(entered(reallocarray(old, 1, size), size, &site_resized_by_reallocarray));
}

static void release_labelled(struct header *header) {
    struct block block = {header, header->size, header->site};
    release(&block);
}

static struct header *turn(struct header *old, uint64_t random) {
    size_t size = sizeof(struct header) + random % 2000;
    if ((random >> 20) % 500 == 0) size += 140000; // with a mapping of its own
    unsigned choice = (random >> 32) % 8;
    if (old && choice < 4) return release_labelled(old), NULL;
    if (old && choice < 6) return resized_by_realloc(old, size);
    if (old) return resized_by_reallocarray(old, size);
    switch (choice) {
    case 0: return labelled(by_calloc(1, size));
    case 1: return labelled(by_posix_memalign(64, size));
    case 2: return labelled(by_realloc((struct block){0}, size));
    default: return labelled(by_malloc(size));
    }
}

static void *work(void *seed) {
    uint64_t state = 88172645463325252u + (uintptr_t)seed * 7919;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t random = next_random(&state);
        struct header *old =
            __atomic_exchange_n(&slots[random % SLOTS], NULL, __ATOMIC_ACQ_REL);
        struct header *new = turn(old, next_random(&state));
        // Somebody else may have filled the slot meanwhile.
        new = __atomic_exchange_n(&slots[random % SLOTS], new, __ATOMIC_ACQ_REL);
        if (new) release_labelled(new);
    }
    return NULL;
}

int main(int count, char **arguments) {
    if (count > 1 && strcmp(arguments[1], "one") == 0) mallopt(M_ARENA_MAX, 1);
    wait_for_go();
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, work, (void *)i);
    for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    finish();
    return 0;
}
