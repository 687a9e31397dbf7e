// Exceptions that cross the allocator's callers while it is traced.
#include <new>
#include <string>
#include <vector>

extern "C" {
#include "truth.h"
}

namespace {

volatile size_t huge = static_cast<size_t>(-1) / 4;

template <typename Throws> void must_throw(Throws throws) {
    try {
        throws();
    } catch (const std::bad_alloc &) {
        return;
    }
    _exit(92);
}

} // namespace

int main() {
    wait_for_go();
    unsigned long kept = 0;
    for (int i = 0; i < 200; i++) {
        must_throw([] { delete static_cast<char *>(::operator new(huge)); });
        must_throw([] { delete[] static_cast<char *>(::operator new[](huge)); });
        must_throw([] { delete[] new char[huge]; });
        must_throw([] { std::vector<double> values(huge / 16); });
        must_throw([] {
            std::string text(1000, 'x');
            text.reserve(huge);
        });
        must_throw([] { ::operator delete(::operator new(huge, std::align_val_t(4096))); });
        kept += *new char('k') == 'k';
    }
    tell("live_blocks", kept);
    finish();
    return 0;
}
