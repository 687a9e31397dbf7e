// Why: one array that only grows. There is always one live block, so counting blocks
// shows nothing; each realloc is an allocation and a free of nearly all there is.
// Right answer: leak, of `append_record`. Bytes: how much longer the array got.
#include "scenario.h"

static char *records;
static size_t length, capacity;

FUNCTION static void append_record(size_t size) {
    if (length + size > capacity) {
        size_t more = between(200, 400) * 1024;
        records = realloc(records, capacity + more);
        touched(records + capacity, more);
        capacity += more;
        count(&truth.leaked_bytes, more);
    }
    length += size;
}

int main(void) {
    begin();
    ready();
    for (;;) {
        append_record(between(2000, 6000));
        pause_us(1000);
    }
}
