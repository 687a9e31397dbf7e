// Loopback TCP connections, and what the kernel charges their queues.
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "scenario.h"

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif

// A listener at a free port of 127.0.0.1; 0 for the buffer size leaves the system's.
static inline int listen_on(unsigned short *port, int backlog, int receive_buffer) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer)
        setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, backlog) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0)
        _exit(80);
    *port = ntohs(address.sin_port);
    return listener;
}

static inline int connect_to(unsigned short port, int receive_buffer) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer)
        setsockopt(connection, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    if (connect(connection, (struct sockaddr *)&address, sizeof address) != 0) _exit(81);
    return connection;
}

// Forks the other side; true in it. It ends with its parent.
static inline int is_peer(void) {
    pid_t parent = getpid();
    if (fork() != 0) return 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(0);
    return 1;
}

// What the kernel charges a socket: SK_MEMINFO_WMEM_QUEUED, SK_MEMINFO_RMEM_ALLOC.
static inline unsigned long charged(int connection, int which) {
    unsigned figures[SK_MEMINFO_VARS] = {0};
    socklen_t length = sizeof figures;
    if (getsockopt(connection, SOL_SOCKET, SO_MEMINFO, figures, &length) != 0) return 0;
    return figures[which];
}

static inline void set_queued(const int *connections, size_t number, int which) {
    unsigned long sum = 0;
    for (size_t index = 0; index < number; index++) sum += charged(connections[index], which);
    __atomic_store_n(&truth.queued_bytes, sum, __ATOMIC_RELAXED);
}
