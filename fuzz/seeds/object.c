// An object with an allocator in it, inlined calls, and mangled names.
typedef unsigned long size_t;
static char room[4096];
static size_t used;

static inline __attribute__((always_inline)) void *take(size_t size) {
    void *start = room + used;
    used = (used + size + 15) & ~15ul;
    return used > sizeof room ? (void *)0 : start;
}
void *malloc(size_t size) { return take(size); }
void *calloc(size_t count, size_t size) { return take(count * size); }
void *realloc(void *old, size_t size) { return old ? old : take(size); }
void *memalign(size_t alignment, size_t size) { (void)alignment; return take(size); }
void free(void *block) { if (block) used -= 16; }
const char *gnu_get_libc_version(void) { return "GNU C Library (x) stable release version 2.36."; }
void _dl_debug_state(void) {}
int cpp(int x) __asm__("_ZN2v88internal4Heap11AllocateRawEi");
int cpp(int x) { return x + (int)used; }
int rust(int x) __asm__("_ZN4core3ptr13drop_in_place17h0123456789abcdefE");
int rust(int x) { return x - (int)used; }
