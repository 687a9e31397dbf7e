// Why: true fragmentation. Each request's block is cut down to its header when the wave of requests ends;
// the headers stay, between the holes, and each wave's requests are too long for the holes of the last.
// Right answer: fragmentation, pinned by `keep_header`: live bytes hardly move while what is resident and
// free rises. Bytes: resident less live, as the program counts both (chunks with their headers).
#include <malloc.h>

#include "scenario.h"

#define REQUESTS_MAX 60000

static void *requests[REQUESTS_MAX];

FUNCTION static void *read_request(size_t size) {
    void *request = touched(malloc(size), size);
    count(&truth.live_bytes, malloc_usable_size(request) + 8);
    return request;
}

FUNCTION static void *keep_header(void *request) {
    uncount(&truth.live_bytes, malloc_usable_size(request) + 8);
    void *header = realloc(request, 24);
    count(&truth.live_bytes, malloc_usable_size(header) + 8);
    return header;
}

int main(void) {
    begin();
    ready();
    wait_for_go();
    for (size_t wave = 0; wave < 6; wave++) {
        size_t least = 800 + wave * 400;
        size_t number = between(18, 22) * 1000000 / (least + 100);
        for (size_t index = 0; index < number; index++) {
            requests[index] = read_request(between(least, least + 200));
            if (index % 15 == 14) pause_us(1000);
        }
        for (size_t index = 0; index < number; index++) {
            requests[index] = keep_header(requests[index]);
            if (index % 30 == 29) pause_us(1000);
        }
    }
    for (;;) pause_us(100000);
}
