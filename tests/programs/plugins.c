// Loads a library, allocates in it, waits for a line, unloads it, and the same
// with another, which the loader likes to put in the same place:
// `plugins FIRST SECOND`. The sites are `in_first` and `in_second`.
#include <dlfcn.h>

#include "truth.h"

static struct site site_first = {.name = "in_first"}, site_second = {.name = "in_second"};
static struct site *const listed[2]
    __attribute__((section("truth_sites"), used)) = {&site_first, &site_second};

static void *use(const char *path, struct site *site) {
    void *library = dlopen(path, RTLD_NOW);
    if (!library) _exit(97);
    void *(*allocate)(size_t) = (void *(*)(size_t))dlsym(library, site->name);
    for (size_t i = 1; i <= 100; i++)
        if (allocate(i)) count_allocated(site, i);
    tell_event("loaded");
    wait_for_line();
    dlclose(library);
    return (void *)allocate;
}

int main(int arguments, char **argument) {
    if (arguments != 3) return 93;
    wait_for_go();
    void *first = use(argument[1], &site_first);
    void *second = use(argument[2], &site_second);
    tell("same_place", first == second);
    finish();
    return 0;
}
