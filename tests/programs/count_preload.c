// A second opinion: counts what a program that nobody here wrote asks of the
// allocator. Preloaded, it passes each call on and keeps its counts in the file
// that COUNT_FILE names, where they are whole however the program ends, calls
// of its last destructors included. Until the library's constructor they lie in
// the library.
//
// A call that the allocator makes of itself (reallocarray calls realloc) is not
// counted again. Children are not counted: the file is the first process's.
//
// It calls glibc by the names that glibc exports beside the usual ones; only
// what has no such name is looked up. Nothing here allocates.

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

// The numbers of the functions are those of tests/support/count.rs.
enum function {
    MALLOC,
    CALLOC,
    REALLOC,
    REALLOCARRAY,
    MEMALIGN,
    POSIX_MEMALIGN,
    ALIGNED_ALLOC,
    VALLOC,
    PVALLOC,
    FUNCTIONS
};

struct counts {
    struct {
        uint64_t blocks, bytes;
    } allocated[FUNCTIONS];
    uint64_t freed_blocks, freed_bytes;
    // Frees of blocks that no function here returned.
    uint64_t unmatched_frees;
    // Blocks for which the table had no room: the counts of frees are too low.
    uint64_t untracked;
    // Threads that called the allocator and have ended, the first one apart.
    uint64_t ended_threads;
};

static struct counts early_counts;
static struct counts *counts = &early_counts;

// Inside a call: what the allocator calls itself is its own affair.
static __thread int is_inside __attribute__((tls_model("initial-exec")));

// Its destructor tells that a thread ends.
static pthread_key_t thread_end;
static int has_thread_end;
static __thread int is_known __attribute__((tls_model("initial-exec")));

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void *__libc_valloc(size_t);
void *__libc_pvalloc(size_t);
void __libc_free(void *);

static void add(uint64_t *counter, uint64_t value) {
    __atomic_fetch_add(counter, value, __ATOMIC_RELAXED);
}

static void count_ended_thread(void *unused) {
    (void)unused;
    add(&counts->ended_threads, 1);
}

// At every call: has the thread's end counted.
static void know_thread(void) {
    if (is_known || !has_thread_end) return;
    is_known = 1;
    // Of the first keys, which need no memory.
    pthread_setspecific(thread_end, &thread_end);
}

// In a child: what it does is not the program's.
static void count_elsewhere(void) {
    counts = &early_counts;
}

__attribute__((constructor)) static void move_counts_to_file(void) {
    pthread_atfork(NULL, NULL, count_elsewhere);
    // The thread that is here now ends with the program.
    is_known = 1;
    has_thread_end = pthread_key_create(&thread_end, count_ended_thread) == 0;
    const char *path = getenv("COUNT_FILE");
    if (!path) return;
    // Made by whoever comes first; later programs of the same family stay out.
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return;
    if (ftruncate(fd, sizeof *counts) != 0) _exit(92);
    void *place = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (place == MAP_FAILED) _exit(92);
    // Before this the program has one thread.
    *(struct counts *)place = early_counts;
    counts = place;
}

// Live blocks by address: open addressing, one lock. Address 0 is an empty slot.
struct block {
    uintptr_t address;
    size_t size;
};
enum { SLOTS = 1 << 22 };
static struct block *table;
static size_t used;
static char lock;

static void locked(void) {
    while (__atomic_test_and_set(&lock, __ATOMIC_ACQUIRE)) {}
}

static void unlocked(void) {
    __atomic_clear(&lock, __ATOMIC_RELEASE);
}

static size_t home_of(uintptr_t address) {
    return (address >> 4) * 0x9e3779b97f4a7c15u >> 42;
}

// The slot that holds an address, or the empty one where it would go.
static size_t slot_of(uintptr_t address) {
    size_t slot = home_of(address);
    while (table[slot].address && table[slot].address != address) slot = (slot + 1) % SLOTS;
    return slot;
}

static void track(void *address, size_t size) {
    locked();
    if (!table) {
        void *place = mmap(NULL, SLOTS * sizeof *table, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (place == MAP_FAILED) _exit(92);
        table = place;
    }
    if (used < SLOTS / 2) {
        size_t slot = slot_of((uintptr_t)address);
        used += !table[slot].address;
        table[slot] = (struct block){(uintptr_t)address, size};
    } else {
        add(&counts->untracked, 1);
    }
    unlocked();
}

// Takes a block out; whether it was there.
static int untrack(void *address, size_t *size) {
    locked();
    size_t hole = table ? slot_of((uintptr_t)address) : 0;
    int found = table && table[hole].address;
    if (found) {
        *size = table[hole].size;
        used--;
        // What stands behind the hole must still be found from its home.
        for (size_t next = (hole + 1) % SLOTS; table[next].address; next = (next + 1) % SLOTS) {
            size_t home = home_of(table[next].address);
            if ((next - home) % SLOTS >= (next - hole) % SLOTS) {
                table[hole] = table[next];
                hole = next;
            }
        }
        table[hole] = (struct block){0};
    }
    unlocked();
    return found;
}

static void *allocated(enum function function, void *address, size_t size) {
    know_thread();
    if (address) {
        track(address, size);
        add(&counts->allocated[function].blocks, 1);
        add(&counts->allocated[function].bytes, size);
    }
    return address;
}

static void freed(int was_tracked, size_t size) {
    know_thread();
    if (was_tracked) {
        add(&counts->freed_blocks, 1);
        add(&counts->freed_bytes, size);
    } else {
        add(&counts->unmatched_frees, 1);
    }
}

// Evaluates a call of the allocator and marks that we are in it.
#define INSIDE(call)          \
    ({                        \
        is_inside = 1;        \
        typeof(call) r = call; \
        is_inside = 0;        \
        r;                    \
    })

#define ALLOCATES(FUNCTION, size, call) \
    (is_inside ? (call) : allocated(FUNCTION, INSIDE(call), size))

void *malloc(size_t size) {
    return ALLOCATES(MALLOC, size, __libc_malloc(size));
}

void *calloc(size_t count, size_t size) {
    return ALLOCATES(CALLOC, count * size, __libc_calloc(count, size));
}

void *memalign(size_t alignment, size_t size) {
    return ALLOCATES(MEMALIGN, size, __libc_memalign(alignment, size));
}

void *valloc(size_t size) {
    return ALLOCATES(VALLOC, size, __libc_valloc(size));
}

void *pvalloc(size_t size) {
    return ALLOCATES(PVALLOC, size, __libc_pvalloc(size));
}

void *aligned_alloc(size_t alignment, size_t size) {
    static void *(*next)(size_t, size_t);
    if (!next) next = (void *(*)(size_t, size_t))dlsym(RTLD_NEXT, "aligned_alloc");
    return ALLOCATES(ALIGNED_ALLOC, size, next(alignment, size));
}

int posix_memalign(void **result, size_t alignment, size_t size) {
    static int (*next)(void **, size_t, size_t);
    if (!next) next = (int (*)(void **, size_t, size_t))dlsym(RTLD_NEXT, "posix_memalign");
    if (is_inside) return next(result, alignment, size);
    int error = INSIDE(next(result, alignment, size));
    if (!error) allocated(POSIX_MEMALIGN, *result, size);
    return error;
}

// What a resizing call did: with NULL for a size above 0 the old block stays.
static void *resized(enum function function, void *old, int was_tracked, size_t old_size,
                     void *address, size_t size) {
    int saved = errno;
    if (old && !address && size) {
        if (was_tracked) track(old, old_size);
    } else if (old) {
        freed(was_tracked, old_size);
    }
    errno = saved;
    return allocated(function, address, size);
}

void *realloc(void *old, size_t size) {
    if (is_inside) return __libc_realloc(old, size);
    size_t old_size = 0;
    // Before the call: in it another thread may get the address.
    int was_tracked = old && untrack(old, &old_size);
    void *address = INSIDE(__libc_realloc(old, size));
    return resized(REALLOC, old, was_tracked, old_size, address, size);
}

void *reallocarray(void *old, size_t count, size_t size) {
    static void *(*next)(void *, size_t, size_t);
    if (!next) next = (void *(*)(void *, size_t, size_t))dlsym(RTLD_NEXT, "reallocarray");
    if (is_inside) return next(old, count, size);
    size_t product, old_size = 0;
    if (__builtin_mul_overflow(count, size, &product)) product = (size_t)-1;
    int was_tracked = old && untrack(old, &old_size);
    void *address = INSIDE(next(old, count, size));
    return resized(REALLOCARRAY, old, was_tracked, old_size, address, product);
}

void free(void *address) {
    if (address && !is_inside) {
        size_t size = 0;
        int was_tracked = untrack(address, &size);
        freed(was_tracked, size);
    }
    __libc_free(address);
}
