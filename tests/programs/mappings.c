// What mapping calls do, at random and in the ways that programs use.
// Arguments: steps, seed, threads. Nothing here allocates.
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "truth.h"

#define PAGE 4096ul
#define SLOTS 160
#define SPAN 64

struct range {
    char *start;
    unsigned long pages;
};

// Each thread's own ranges, and numbers.
struct storm {
    struct range slots[SLOTS];
    unsigned long state, steps;
};

static unsigned long next(struct storm *storm, unsigned long below) {
    storm->state = storm->state * 6364136223846793005ul + 1442695040888963407ul;
    return (storm->state >> 33) % below;
}

static void must(int holds, const char *what) {
    if (!holds) {
        tell_event(what);
        _exit(92);
    }
}

static void touch(char *start, unsigned long pages, unsigned long every) {
    for (unsigned long page = 0; page < pages; page += every) start[page * PAGE] = 1;
}

SITE_FUNCTION static char *map_pages(unsigned long pages, int protection, int flags, void *at) {
    char *start = mmap(at, pages * PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    must(start != MAP_FAILED, "mmap");
    return start;
}

static void step(struct storm *storm) {
    struct range *slot = &storm->slots[next(storm, SLOTS)];
    unsigned long pages = 1 + next(storm, SPAN);
    if (!slot->start) {
        int protection = next(storm, 4) ? PROT_READ | PROT_WRITE : PROT_NONE;
        slot->start = map_pages(pages, protection, 0, NULL);
        slot->pages = pages;
        if (protection) touch(slot->start, pages, 1 + next(storm, 4));
        return;
    }
    unsigned long at = next(storm, slot->pages), count = 1 + next(storm, slot->pages - at);
    char *part = slot->start + at * PAGE;
    switch (next(storm, 8)) {
    case 0: // A part, in the midst or at an end: what is left of it stays mapped.
    case 1:
        must(!munmap(part, count * PAGE), "munmap");
        if (at == 0) {
            slot->start += count * PAGE;
            slot->pages -= count;
        } else {
            // Behind the hole nobody owns it any more.
            munmap(part + count * PAGE, (slot->pages - at - count) * PAGE);
            slot->pages = at;
        }
        if (!slot->pages) slot->start = NULL;
        break;
    case 2: // Across its end, over what is mapped there or not.
        must(!munmap(slot->start, slot->pages * PAGE), "munmap all");
        slot->start = NULL;
        break;
    case 3: {
        must(!mprotect(slot->start, slot->pages * PAGE, PROT_READ | PROT_WRITE), "mprotect all");
        char *moved = mremap(slot->start, slot->pages * PAGE, pages * PAGE, MREMAP_MAYMOVE);
        // Of several mappings in one range it moves none.
        if (moved == MAP_FAILED) break;
        slot->start = moved;
        slot->pages = pages;
        touch(moved, pages, 2);
        break;
    }
    case 4:
        map_pages(count, PROT_READ | PROT_WRITE, MAP_FIXED, part);
        touch(part, count, 2);
        break;
    case 5:
        must(!mprotect(part, count * PAGE, PROT_NONE), "mprotect none");
        break;
    case 6:
        must(!mprotect(part, count * PAGE, PROT_READ | PROT_WRITE), "mprotect");
        // Reading makes the zero page appear, which is no memory.
        for (unsigned long page = 0; page < count; page++) {
            if (page % 3) part[page * PAGE] = 1;
            else *(volatile char *)&part[page * PAGE];
        }
        break;
    default: // What may be dropped is still there until the kernel wants it.
        must(!madvise(part, count * PAGE, next(storm, 3) ? MADV_DONTNEED : MADV_FREE), "madvise");
    }
}

static void *run(void *argument) {
    struct storm *storm = argument;
    for (unsigned long done = 0; done < storm->steps; done++) step(storm);
    return NULL;
}

// The sites whose pages are counted.
SITE_FUNCTION static char *keep_mapped(unsigned long pages) {
    return mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

SITE_FUNCTION static char *reserve(unsigned long pages) {
    return mmap(NULL, pages * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

// Shared memory: a part of it is given back, for all who have it.
SITE_FUNCTION static void share(unsigned long pages) {
    char *start = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(start != MAP_FAILED, "mmap shared");
    touch(start, pages, 1);
    must(!madvise(start, pages / 4 * PAGE, MADV_REMOVE), "remove");
}

SITE_FUNCTION static void make_usable(char *start, unsigned long pages) {
    must(!mprotect(start, pages * PAGE, PROT_READ | PROT_WRITE), "make usable");
}

static struct storm storms[8];

int main(int count, char **arguments) {
    unsigned long steps = count > 1 ? strtoul(arguments[1], NULL, 10) : 10000;
    unsigned long seed = count > 2 ? strtoul(arguments[2], NULL, 10) : 1;
    unsigned long threads = count > 3 ? strtoul(arguments[3], NULL, 10) : 1;
    pthread_t ids[8];
    // What is touched is what is resident, page by page.
    must(!prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), "prctl");
    wait_for_go();
    for (unsigned long index = 0; index < threads; index++) {
        storms[index].state = seed + index * 977;
        storms[index].steps = steps / threads;
        if (index) must(!pthread_create(&ids[index], NULL, run, &storms[index]), "thread");
    }
    run(&storms[0]);
    for (unsigned long index = 1; index < threads; index++) pthread_join(ids[index], NULL);

    char *kept = keep_mapped(1000);
    touch(kept, 1000, 4);
    must(!munmap(kept + 100 * PAGE, 100 * PAGE), "hole");
    char *reserved = reserve(5000);
    make_usable(reserved + 1000 * PAGE, 200);
    touch(reserved + 1000 * PAGE, 200, 1);
    share(400);
    // An allocator's mapping is not the program's.
    char *block = malloc(3000 * PAGE);
    touch(block, 3000, 3);
    tell("kept_resident", 225 * PAGE);
    tell("kept_usable", 900 * PAGE);
    tell("reserved", 4800 * PAGE);
    tell("made_usable", 200 * PAGE);
    tell("shared_resident", 300 * PAGE);
    tell("allocator_resident", 1000 * PAGE);
    finish();
    return 0;
}
