// Why: a pool allocator (slabs of 1 MB, free lists of its own) warms up in the first seconds. Its slabs
// are never freed, and outlive every request.
// Right answer: healthy: no slab was taken since.
#include "scenario.h"

#define SLAB (1UL << 20)
#define OBJECT 512
#define BUSY 60000

struct object { struct object *next; };

static struct object *unused;
static struct object *busy[BUSY];

FUNCTION static void pool_grow(void) {
    char *slab = touched(malloc(SLAB), SLAB);
    for (size_t at = 0; at + OBJECT <= SLAB; at += OBJECT) {
        struct object *object = (struct object *)(slab + at);
        object->next = unused;
        unused = object;
    }
}

FUNCTION static struct object *pool_take(void) {
    if (!unused) pool_grow();
    struct object *object = unused;
    unused = object->next;
    return touched(object, OBJECT);
}

static void pool_give(struct object *object) {
    object->next = unused;
    unused = object;
}

int main(void) {
    begin();
    ready();
    wait_for_go();
    for (size_t object = 0; object < BUSY; object++) {
        busy[object] = pool_take();
        if (object % 20 == 0) pause_us(1000);
    }
    for (;;) {
        for (int change = 0; change < 100; change++) {
            size_t object = below(BUSY);
            pool_give(busy[object]);
            busy[object] = pool_take();
        }
        pause_us(1000);
    }
}
