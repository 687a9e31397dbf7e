// C++'s operators where the allocator brings them itself, and exceptions that
// cross their callers while they are traced.
#include <cstddef>
#include <new>

extern "C" {
#include "truth.h"
}

namespace {

enum { KEPT = 8192 };
volatile size_t huge = static_cast<size_t>(-1) / 4;
constexpr std::align_val_t page{4096};
void *volatile kept[KEPT];
int kept_count;

void *entered(void *address, size_t size, site &site) {
    if (address) count_allocated(&site, size);
    return address;
}

SITE(by_new);
SITE_FUNCTION void *by_new(size_t size) {
    return entered(::operator new(size), size, site_by_new);
}

SITE(by_new_array);
SITE_FUNCTION void *by_new_array(size_t size) {
    return entered(::operator new[](size), size, site_by_new_array);
}

SITE(by_nothrow);
SITE_FUNCTION void *by_nothrow(size_t size) {
    return entered(::operator new(size, std::nothrow), size, site_by_nothrow);
}

SITE(by_aligned);
SITE_FUNCTION void *by_aligned(size_t size) {
    return entered(::operator new(size, page), size, site_by_aligned);
}

void keep(void *address) { kept[kept_count++ % KEPT] = address; }

// A third stays, of each kind its own.
void allocate_each() {
    for (size_t size = 1; size < 3000000; size += size / 2 + 1) {
        for (int round = 0; round < 9; round++) {
            void *plain = by_new(size), *array = by_new_array(size);
            void *nothrow = by_nothrow(size), *aligned = by_aligned(size);
            if (round % 3 == 0) {
                keep(plain), keep(array), keep(nothrow), keep(aligned);
                continue;
            }
            count_freed(&site_by_new, size), count_freed(&site_by_new_array, size);
            count_freed(&site_by_nothrow, size), count_freed(&site_by_aligned, size);
            if (round % 3 == 1) {
                ::operator delete(plain), ::operator delete[](array);
                ::operator delete(nothrow, std::nothrow), ::operator delete(aligned, page);
            } else {
                ::operator delete(plain, size), ::operator delete[](array, size);
                ::operator delete(nothrow), ::operator delete(aligned, size, page);
            }
        }
    }
}

template <typename Throws> void must_throw(Throws throws) {
    try {
        throws();
    } catch (const std::bad_alloc &) {
        return;
    }
    _exit(92);
}

} // namespace

// Any argument: this allocator aborts where others throw.
int main(int count, char **) {
    wait_for_go();
    for (int round = 0; round < 5; round++) {
        allocate_each();
        if (count > 1) continue;
        must_throw([] { by_new(huge); });
        must_throw([] { by_new_array(huge); });
        must_throw([] { by_aligned(huge); });
        if (by_nothrow(huge)) _exit(92);
    }
    finish();
    return 0;
}
