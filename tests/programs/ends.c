// Ends with live blocks: `ends exit STATUS`, `ends killed` (waits for SIGKILL),
// `ends exec PROGRAM ARGUMENTS…`.
#include "blocks.h"

int main(int arguments, char **argument) {
    if (arguments < 2) return 93;
    wait_for_go();
    for (size_t i = 0; i < 1000; i++) {
        struct block block = by_malloc(i);
        if (i % 2) block = by_realloc(block, 2 * i);
        if (i % 5 == 0) release(&block);
    }
    tell_truth();
    if (strcmp(argument[1], "exit") == 0 && arguments == 3) exit(atoi(argument[2]));
    if (strcmp(argument[1], "exec") == 0 && arguments > 2) {
        execv(argument[2], argument + 2);
        return 94;
    }
    wait_for_line();
    return 95;
}
