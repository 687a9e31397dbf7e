// Why: a pool starts its twelve threads one after another; each gets an arena, a stack and a working
// buffer that it keeps. All of that is growth, at first.
// Right answer: healthy: when the threads are there nothing grows.
#include <string>
#include <vector>

#include "../c/scenario.h"

FUNCTION static void handle(std::vector<std::string> &buffer, unsigned long number) {
    std::string &slot = buffer[number % buffer.size()];
    slot.assign(1000 + number * 7919 % 3000, 'b');
    slot.shrink_to_fit();
}

static void *work(void *) {
    std::vector<std::string> buffer(600);
    for (unsigned long number = 0;; number++) {
        handle(buffer, number);
        pause_us(5000);
    }
}

int main() {
    begin();
    ready();
    wait_for_go();
    for (int thread = 0; thread < 12; thread++) {
        pthread_t id;
        if (pthread_create(&id, nullptr, work, nullptr) != 0) _exit(1);
        pause_us(between(100000, 300000));
    }
    for (;;) pause_us(100000);
}
