// Calls malloc from code without a file, which a perf map names: `jit NAME`.
// Without a name it writes no map.
#include <stdint.h>
#include <sys/mman.h>

#include "truth.h"

typedef void *allocate(size_t);

static struct site site_jit = {.name = "jit"};
static struct site *const listed_jit
    __attribute__((section("truth_sites"), used)) = &site_jit;

// push %rbp; mov %rsp,%rbp; movabs $malloc,%rax; call *%rax; pop %rbp; ret
static allocate *generate(void) {
    uint8_t *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code == MAP_FAILED) _exit(97);
    uint8_t *at = code;
    uintptr_t target = (uintptr_t)malloc;
    memcpy(at, "\x55\x48\x89\xe5\x48\xb8", 6), at += 6;
    memcpy(at, &target, 8), at += 8;
    memcpy(at, "\xff\xd0\x5d\xc3", 4);
    return (allocate *)code;
}

int main(int arguments, char **argument) {
    allocate *generated = generate();
    if (arguments > 1) {
        char line[600];
        snprintf(line, sizeof line, "/tmp/perf-%d.map", getpid());
        FILE *map = fopen(line, "w");
        if (!map) return 97;
        fprintf(map, "%lx 20 %s\n", (unsigned long)generated, argument[1]);
        fclose(map);
    }
    wait_for_go();
    for (size_t i = 1; i <= 10; i++)
        if (generated(1000 * i)) count_allocated(&site_jit, 1000 * i);
    finish();
    return 0;
}
