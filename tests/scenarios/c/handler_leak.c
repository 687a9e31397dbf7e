// Why: the plainest leak. A server has been running for a while; of its four handlers
// three give back what they take, and `open_session` never does.
// Right answer: leak, of `open_session`; its bytes are the sum of its requests. The busy
// handlers allocate ten times as much and must not be named.
#include "scenario.h"

static void *volatile last;

FUNCTION static void list_items(void) {
    size_t size = between(200, 40000);
    void *page = touched(malloc(size), size);
    last = page;
    free(page);
}

FUNCTION static void render(void) {
    void *parts[4];
    for (int part = 0; part < 4; part++) parts[part] = touched(malloc(3000), 3000);
    for (int part = 0; part < 4; part++) free(parts[part]);
}

FUNCTION static void search(void) {
    void *hits = touched(calloc(500, 40), 500 * 40);
    hits = realloc(hits, 1000);
    last = hits;
    free(hits);
}

FUNCTION static void open_session(void) {
    size_t size = between(3000, 9000);
    last = touched(malloc(size), size);
    count(&truth.leaked_bytes, size);
}

int main(void) {
    begin();
    for (int session = 0; session < 2000; session++) open_session();
    ready();
    for (;;) {
        list_items();
        render();
        search();
        // 2 to 3 MB/s.
        if (below(2) == 0) open_session();
        pause_us(between(700, 1200));
    }
}
