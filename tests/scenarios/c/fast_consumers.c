// Why: forty connections at full speed, all of them read. At each look there is something in the queues,
// as there must be while bytes move.
// Right answer: healthy: no queue stays, no window is closed.
#include "peers.h"

#define CLIENTS 40

static int clients[CLIENTS];

static void peer(unsigned short port) {
    static char data[1 << 18];
    for (int index = 0; index < CLIENTS; index++) clients[index] = connect_to(port, 0);
    for (;;) {
        for (int index = 0; index < CLIENTS; index++)
            while (recv(clients[index], data, sizeof data, MSG_DONTWAIT) > 0) {}
        pause_us(500);
    }
}

int main(void) {
    begin();
    unsigned short port;
    static char data[32768];
    int listener = listen_on(&port, CLIENTS, 0);
    if (is_peer()) peer(port);
    for (int index = 0; index < CLIENTS; index++) clients[index] = accept(listener, NULL, NULL);
    ready();
    for (;;) {
        for (int index = 0; index < CLIENTS; index++)
            send(clients[index], data, between(4000, sizeof data), MSG_DONTWAIT | MSG_NOSIGNAL);
        set_queued(clients, CLIENTS, SK_MEMINFO_WMEM_QUEUED);
        pause_us(1000);
    }
}
