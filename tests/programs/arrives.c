// An allocator that is loaded in mid-run, used beside libc's, and unloaded and
// loaded again. Arguments: the library, how often it comes and goes first.
#include <dlfcn.h>

#include "truth.h"

static void *(*their_malloc)(size_t);
static void (*their_free)(void *);

SITE(by_theirs);
SITE_FUNCTION static void *by_theirs(size_t size) {
    void *block = their_malloc(size);
    if (block) count_allocated(&site_by_theirs, size);
    return block;
}

SITE(by_ours);
SITE_FUNCTION static void *by_ours(size_t size) {
    void *block = malloc(size);
    if (block) count_allocated(&site_by_ours, size);
    return block;
}

static void *load(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (!library) _exit(93);
    // Not libc's through a constructor that changed its mind.
    *(void **)&their_malloc = dlsym(library, "malloc");
    *(void **)&their_free = dlsym(library, "free");
    if (!their_malloc || !their_free || their_malloc == malloc) _exit(94);
    return library;
}

int main(int count, char **arguments) {
    if (count < 3) _exit(95);
    wait_for_go();
    for (long times = strtol(arguments[2], NULL, 10); times > 0; times--) dlclose(load(arguments[1]));
    load(arguments[1]);
    tell_event("loaded");
    // Until memtrace has seen it.
    wait_for_line();
    for (size_t size = 1; size < 20000; size += 7) {
        void *theirs = by_theirs(size), *ours = by_ours(size);
        if (size % 3 == 0) continue;
        count_freed(&site_by_theirs, size), count_freed(&site_by_ours, size);
        their_free(theirs);
        free(ours);
    }
    finish();
    return 0;
}
