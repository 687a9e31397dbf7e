// Why: an LRU cache at its limit: each request puts an entry in and another out. Entries live for
// seconds, many as long as the window.
// Right answer: healthy: as much goes as comes.
#include <list>
#include <string>
#include <unordered_map>

#include "../c/scenario.h"

static const size_t LIMIT = 20000;
static std::list<std::pair<unsigned long, std::string>> entries;
static std::unordered_map<unsigned long, decltype(entries)::iterator> places;

FUNCTION static void put(unsigned long key) {
    auto found = places.find(key);
    if (found != places.end()) {
        entries.splice(entries.begin(), entries, found->second);
        return;
    }
    if (entries.size() == LIMIT) {
        places.erase(entries.back().first);
        entries.pop_back();
    }
    entries.emplace_front(key, std::string(between(200, 4000), 'v'));
    places[key] = entries.begin();
}

int main() {
    begin();
    for (unsigned long key = 0; key < LIMIT; key++) put(key);
    ready();
    for (;;) {
        put(below(10 * LIMIT));
        pause_us(1000);
    }
}
