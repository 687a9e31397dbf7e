// Cases that libbpf's memleak answers wrongly: `wrong large|failed|fork`.
#include <sys/wait.h>

#include "blocks.h"

SITE(keeps_large);
SITE_FUNCTION struct block keeps_large(void) {
    return entered(malloc(1 << 20), 1 << 20, &site_keeps_large);
}

// Blocks of 128 KiB and more: malloc maps them, and memleak's own mmap probe
// then overwrites what it knew of the malloc.
static void large(void) {
    for (int i = 0; i < 10; i++) keeps_large();
}

static void failed(void) {
    volatile size_t huge = (size_t)-1 / 2;
    for (size_t i = 1; i <= 100; i++) by_realloc(by_malloc(i), huge);
}

SITE(in_child);
SITE_FUNCTION struct block in_child(size_t size) {
    return entered(malloc(size), size, &site_in_child);
}

// The child frees its copies and allocates at the same addresses: none of it
// may change what is known of the parent.
static void forks(void) {
    struct block blocks[100];
    for (size_t i = 0; i < 100; i++) blocks[i] = by_malloc(100 + i);
    pid_t child = fork();
    if (child == 0) {
        for (size_t i = 0; i < 100; i++) free(blocks[i].address);
        for (size_t i = 0; i < 100; i++) blocks[i] = in_child(100 + i);
        _exit(blocks[99].address ? 0 : 1);
    }
    int status = 1;
    if (waitpid(child, &status, 0) != child || status != 0) _exit(96);
    for (size_t i = 0; i < 50; i++) release(&blocks[i]);
}

int main(int arguments, char **argument) {
    if (arguments != 2) return 93;
    wait_for_go();
    if (strcmp(argument[1], "large") == 0) large();
    else if (strcmp(argument[1], "failed") == 0) failed();
    else if (strcmp(argument[1], "fork") == 0) forks();
    else return 93;
    finish();
    return 0;
}
