// Why: a server writes all that a socket takes and closes it, as for a download; its clients have
// stopped reading. The sockets are in no process's descriptors any more, and hold their queues.
// Right answer: orphan, of `send_download`. Bytes: what the kernel charged each queue just before it was closed.
#include "peers.h"

#define CLIENTS 60

FUNCTION static void send_download(int client) {
    static char data[65536];
    int quiet = 0;
    // Full when nothing has gone for 20 ms: the send buffer grows while the peer's window is open.
    while (quiet < 20) {
        if (send(client, data, sizeof data, MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
            quiet = 0;
        } else {
            quiet++;
            pause_us(1000);
        }
    }
}

static void peer(unsigned short port) {
    for (int index = 0; index < CLIENTS; index++) {
        connect_to(port, (int)between(8192, 65536));
        pause_us(100000);
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
    for (;;) {
        int client = accept(listener, NULL, NULL);
        send_download(client);
        count(&truth.queued_bytes, charged(client, SK_MEMINFO_WMEM_QUEUED));
        close(client);
    }
}
