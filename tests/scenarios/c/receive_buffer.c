// Why: a server accepts and then does not read: its worker is busy elsewhere. What the clients send
// stands in the kernel's receive queues.
// Right answer: receive-buffer, of `accept_client`, which alone has touched these sockets. Bytes: what the
// kernel charges the receive queues (SO_MEMINFO).
#include "peers.h"

#define CLIENTS 700

static int clients[CLIENTS];
static volatile unsigned long work; // keeps it busy

FUNCTION static int accept_client(int listener) { return accept(listener, NULL, NULL); }

// No more than the receiver's window takes, or the rest would wait in this side's send queues.
static void peer(unsigned short port) {
    static char data[60000];
    for (int index = 0; index < CLIENTS; index++) clients[index] = connect_to(port, 0);
    for (int piece = 0; piece < 6; piece++) {
        for (int index = 0; index < CLIENTS; index++) {
            send(clients[index], data, between(5000, 9000), MSG_DONTWAIT | MSG_NOSIGNAL);
            if (index % 50 == 0) pause_us(50000);
        }
    }
    for (;;) pause_us(100000);
}

int main(void) {
    begin();
    unsigned short port;
    int listener = listen_on(&port, CLIENTS, 0);
    ready();
    wait_for_go();
    if (is_peer()) peer(port);
    for (int index = 0; index < CLIENTS; index++) clients[index] = accept_client(listener);
    for (;;) {
        for (int step = 0; step < 1000000; step++) work += (unsigned long)step;
        set_queued(clients, CLIENTS, SK_MEMINFO_RMEM_ALLOC);
        pause_us(20000);
    }
}
