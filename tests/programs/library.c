// A library with one site, named at build time: -DSITE_NAME=….
#include <stdlib.h>

__attribute__((noipa)) void *SITE_NAME(size_t size) { return malloc(size); }
