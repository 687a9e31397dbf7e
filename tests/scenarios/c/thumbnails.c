// The library of python/extension.py: as an extension of Python's would, it calls malloc itself.
#include <stdlib.h>
#include <string.h>

void *volatile last_thumbnail;

unsigned long decode_thumbnail(unsigned long size);

__attribute__((noipa)) unsigned long decode_thumbnail(unsigned long size) {
    void *pixels = malloc(size);
    if (!pixels) return 0;
    last_thumbnail = memset(pixels, 1, size);
    return size;
}
