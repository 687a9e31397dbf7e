// Why: a producer is faster than its worker: a std::deque between two threads gets longer. Blocks are
// freed as well, by another thread, about half as many as are allocated.
// Right answer: leak, of `produce`. Bytes: the messages in the queue.
#include <deque>
#include <mutex>

#include "../c/scenario.h"

static std::mutex lock;
static std::deque<std::pair<char *, size_t>> waiting;

FUNCTION static char *produce(size_t size) {
    count(&truth.leaked_bytes, size);
    return static_cast<char *>(touched(new char[size], size));
}

FUNCTION static void consume(char *message, size_t size) {
    uncount(&truth.leaked_bytes, size);
    delete[] message;
}

static void *work(void *) {
    for (;;) {
        std::pair<char *, size_t> message{nullptr, 0};
        {
            std::lock_guard<std::mutex> guard(lock);
            if (!waiting.empty()) {
                message = waiting.front();
                waiting.pop_front();
            }
        }
        if (message.first) consume(message.first, message.second);
        pause_us(1000);
    }
}

int main() {
    begin();
    ready();
    pthread_t worker;
    if (pthread_create(&worker, nullptr, work, nullptr) != 0) _exit(1);
    for (;;) {
        for (int message = 0; message < 2; message++) {
            size_t size = between(1000, 8000);
            char *block = produce(size);
            std::lock_guard<std::mutex> guard(lock);
            waiting.emplace_back(block, size);
        }
        pause_us(1000);
    }
}
