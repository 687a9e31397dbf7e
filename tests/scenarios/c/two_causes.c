// Why: two things at once: a leak in one handler, and clients that do not read.
// Right answer: leak, of `open_session`, whose bytes are the more, and send-buffer beside it. Naming
// only one of them would send its reader home too early.
#include "peers.h"

#define CLIENTS 20
#define STALLED 8

static int clients[CLIENTS];
static void *volatile last;

FUNCTION static void push_update(int client) {
    static char data[32768];
    send(client, data, sizeof data, MSG_DONTWAIT | MSG_NOSIGNAL);
}

FUNCTION static void open_session(void) {
    size_t size = between(2000, 6000);
    last = touched(malloc(size), size);
    count(&truth.leaked_bytes, size);
}

static void peer(unsigned short port) {
    static char data[1 << 20];
    for (int index = 0; index < CLIENTS; index++) clients[index] = connect_to(port, 0);
    for (;;) {
        for (int index = STALLED; index < CLIENTS; index++)
            while (recv(clients[index], data, sizeof data, MSG_DONTWAIT) > 0) {}
        pause_us(2000);
    }
}

int main(void) {
    begin();
    unsigned short port;
    int listener = listen_on(&port, CLIENTS, 0);
    if (is_peer()) peer(port);
    for (int index = 0; index < CLIENTS; index++) clients[index] = accept(listener, NULL, NULL);
    ready();
    wait_for_go();
    for (unsigned long turn = 0;; turn++) {
        open_session();
        if (turn % 20 == 0) {
            for (int index = 0; index < CLIENTS; index++) push_update(clients[index]);
            set_queued(clients, CLIENTS, SK_MEMINFO_WMEM_QUEUED);
        }
        pause_us(700);
    }
}
