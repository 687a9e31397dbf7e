// Why: what a service remembers of its requests, in a std::unordered_map by request id; nobody
// erases. The nodes are small, the table is now and then allocated anew.
// Right answer: leak, of `remember`. Bytes: every node's, string's and table's, as the container's own
// allocator counts them.
#include <string>
#include <unordered_map>

#include "../c/scenario.h"

template <class T> struct counted {
    using value_type = T;
    counted() = default;
    template <class U> counted(const counted<U> &) {}
    T *allocate(size_t number) {
        count(&truth.leaked_bytes, number * sizeof(T));
        return std::allocator<T>().allocate(number);
    }
    void deallocate(T *block, size_t number) {
        uncount(&truth.leaked_bytes, number * sizeof(T));
        std::allocator<T>().deallocate(block, number);
    }
    template <class U> bool operator==(const counted<U> &) const { return true; }
    template <class U> bool operator!=(const counted<U> &) const { return false; }
};

using text = std::basic_string<char, std::char_traits<char>, counted<char>>;
static std::unordered_map<unsigned long, text, std::hash<unsigned long>, std::equal_to<unsigned long>,
                          counted<std::pair<const unsigned long, text>>>
    seen;

FUNCTION static void remember(unsigned long id, size_t size) { seen.emplace(id, text(size, 'r')); }

FUNCTION static void answer(size_t size) {
    std::string body(size, 'a');
    body.append(body);
}

int main() {
    begin();
    for (unsigned long id = 0; id < 5000; id++) remember(id, between(20, 2000));
    ready();
    for (unsigned long id = 5000;; id++) {
        remember(id, between(20, 5000));
        answer(between(100, 20000));
        pause_us(700);
    }
}
