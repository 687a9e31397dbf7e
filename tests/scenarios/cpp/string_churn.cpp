// Why: strings are built, joined, moved and dropped, thousands a second, from few places: the
// busiest sites of the program, and none that keeps.
// Right answer: healthy.
#include <map>
#include <string>

#include "../c/scenario.h"

static std::map<unsigned long, std::string> sessions;

FUNCTION static std::string render(unsigned long id, size_t words) {
    std::string page;
    for (size_t word = 0; word < words; word++) page += "word " + std::to_string(id * word) + " ";
    return page;
}

int main() {
    begin();
    ready();
    for (unsigned long id = 0;; id++) {
        sessions[id % 3000] = render(id, between(10, 80));
        if (id % 7 == 0) sessions.erase(below(3000));
        pause_us(2000);
    }
}
