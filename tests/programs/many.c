// Many blocks live at once: `many COUNT FREED`. FREED of them go again, then
// as many come back from another site.
#include "blocks.h"

#define MOST 2500000
static struct block blocks[MOST];

SITE(by_many);
SITE_FUNCTION struct block by_many(size_t size) {
    return entered(malloc(size), size, &site_by_many);
}

SITE(by_later);
SITE_FUNCTION struct block by_later(size_t size) {
    return entered(malloc(size), size, &site_by_later);
}

int main(int arguments, char **argument) {
    if (arguments != 3) return 93;
    size_t count = strtoul(argument[1], NULL, 10), freed = strtoul(argument[2], NULL, 10);
    if (count > MOST || freed > count) return 93;
    wait_for_go();
    for (size_t i = 0; i < count; i++) blocks[i] = by_many(16 + i % 48);
    for (size_t i = 0; i < freed; i++) release(&blocks[i]);
    for (size_t i = 0; i < freed; i++) blocks[i] = by_later(100);
    finish();
    return 0;
}
