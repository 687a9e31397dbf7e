// The library of strdup_library.c: three calls deep, a name is kept for good.
#include <stddef.h>
#include <string.h>

size_t configure(const char *text, int depth);

__attribute__((noipa)) static char *intern_name(const char *name) { return strdup(name); }

__attribute__((noipa)) static size_t parse_value(const char *text) {
    const char *name = intern_name(text);
    return strlen(name) + 1;
}

__attribute__((noipa)) static size_t parse_block(const char *text, int depth) {
    return depth > 0 ? parse_block(text, depth - 1) : parse_value(text);
}

size_t configure(const char *text, int depth) { return parse_block(text, depth); }
