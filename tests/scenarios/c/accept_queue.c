// Why: a listener that never accepts. The kernel completes the connections all the same, and takes
// what the clients send; no descriptor of the process leads to it.
// Right answer: accept-queue. No stack has accepted anything. Bytes: what one such client's data was
// charged when it was accepted, in a rehearsal, times the clients that have sent theirs.
#include <sys/mman.h>

#include "peers.h"

#define CLIENTS 1000

static void send_request(int connection) {
    static char data[40000];
    for (size_t sent = 0; sent < sizeof data;) {
        ssize_t step = send(connection, data + sent, 4000, MSG_NOSIGNAL);
        if (step <= 0) _exit(82);
        sent += (size_t)step;
        pause_us(200);
    }
}

static unsigned long rehearsed(void) {
    unsigned short port;
    int listener = listen_on(&port, 1, 0), connection = connect_to(port, 0);
    send_request(connection);
    int accepted = accept(listener, NULL, NULL);
    unsigned long bytes = charged(accepted, SK_MEMINFO_RMEM_ALLOC);
    close(accepted), close(connection), close(listener);
    return bytes;
}

static void peer(unsigned short port, unsigned long *sent) {
    for (int client = 0; client < CLIENTS; client++) {
        send_request(connect_to(port, 0));
        __atomic_add_fetch(sent, 1, __ATOMIC_RELAXED);
        pause_us(between(1000, 5000));
    }
    for (;;) pause_us(100000);
}

int main(void) {
    begin();
    unsigned short port;
    unsigned long each = rehearsed();
    unsigned long *sent = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int listener = listen_on(&port, CLIENTS, 0);
    ready();
    wait_for_go();
    if (is_peer()) peer(port, sent);
    for (;;) {
        truth.queued_bytes = each * __atomic_load_n(sent, __ATOMIC_RELAXED);
        pause_us(20000);
    }
    return listener;
}
