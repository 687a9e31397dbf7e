// Why: the leak is in a library, deep in a recursion, and the allocator is called by libc's
// strdup for it. The stacks differ in depth: it is many sites, and one cause.
// Right answer: leak, of `intern_name` (under strdup).
#include "scenario.h"

size_t configure(const char *text, int depth);

int main(void) {
    static char text[4096];
    begin();
    memset(text, 'n', sizeof text);
    ready();
    for (;;) {
        size_t length = between(200, 3000);
        text[length] = 0;
        count(&truth.leaked_bytes, configure(text, (int)between(1, 12)));
        text[length] = 'n';
        pause_us(400);
    }
}
