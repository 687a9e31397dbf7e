// Why: a server pushes to sixty clients, as far as each socket takes it; twelve do not read. Nothing
// grows in the process: the bytes wait in the kernel.
// Right answer: send-buffer, of `push_update`, as the peers' windows are closed. Bytes: what the kernel
// charges the send queues (SO_MEMINFO).
#include "peers.h"

#define CLIENTS 60

static int clients[CLIENTS];

FUNCTION static void push_update(int client, size_t size) {
    static char data[65536];
    send(client, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void peer(unsigned short port, size_t stalled) {
    static char data[1 << 20];
    for (size_t index = 0; index < CLIENTS; index++) clients[index] = connect_to(port, 0);
    for (;;) {
        for (size_t index = stalled; index < CLIENTS; index++)
            while (recv(clients[index], data, sizeof data, MSG_DONTWAIT) > 0) {}
        pause_us(2000);
    }
}

int main(void) {
    begin();
    unsigned short port;
    int listener = listen_on(&port, CLIENTS, 0);
    size_t stalled = between(10, 14);
    if (is_peer()) peer(port, stalled);
    for (int index = 0; index < CLIENTS; index++) clients[index] = accept(listener, NULL, NULL);
    ready();
    wait_for_go();
    for (;;) {
        for (int index = 0; index < CLIENTS; index++) push_update(clients[index], between(8000, 32000));
        set_queued(clients, CLIENTS, SK_MEMINFO_WMEM_QUEUED);
        pause_us(between(15000, 25000));
    }
}
