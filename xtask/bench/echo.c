// `echo CONNECTIONS MESSAGES` of load.c: this process is the server of so many TCP
// connections on loopback, its child the client. Both block in send and receive and do
// nothing else: the fastest echo there is, so what a probe adds shows most.
#define _GNU_SOURCE
#include "echo.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE 64
#define MOST 15000
static int sockets[MOST], connections, to_client;
static long rounds;
static clockid_t client_clock;

static void must(int holds) {
    if (!holds) exit(3);
}

static double clock_ns(clockid_t clock) {
    struct timespec now;
    must(!clock_gettime(clock, &now));
    return now.tv_sec * 1e9 + now.tv_nsec;
}

static void set_up(int index, int socket) {
    int one = 1;
    must(socket >= 0 && !setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
    sockets[index] = socket;
}

static void send_to(int index) {
    static char message[MESSAGE];
    must(send(sockets[index], message, MESSAGE, MSG_NOSIGNAL) == MESSAGE);
}

static void receive_from(int index) {
    char message[MESSAGE];
    must(recv(sockets[index], message, MESSAGE, MSG_WAITALL) == MESSAGE);
}

// A round is a message on each connection; a byte from the server asks for all of them.
static void ask(int start) {
    char go;
    while (read(start, &go, 1) == 1) {
        for (long round = 0; round < rounds; round++) {
            for (int index = 0; index < connections; index++) send_to(index);
            for (int index = 0; index < connections; index++) receive_from(index);
        }
    }
    exit(0);
}

// Both ends on one processor, where each wakes the other by a switch: a wake-up of another
// processor costs 5 to 40 us on a virtual machine and varies, more than any probe. The
// highest-numbered of those allowed: interrupts mostly go to the first.
static void pin(void) {
    cpu_set_t allowed, last;
    int processor = CPU_SETSIZE - 1;
    must(!sched_getaffinity(0, sizeof allowed, &allowed));
    while (processor > 0 && !CPU_ISSET(processor, &allowed)) processor--;
    CPU_ZERO(&last);
    CPU_SET(processor, &last);
    must(!sched_setaffinity(0, sizeof last, &last));
}

void echo_start(int count, long messages) {
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof place;
    struct rlimit files;
    int listener = socket(AF_INET, SOCK_STREAM, 0), start[2];
    must(count > 0 && count <= MOST && messages >= count);
    must(!getrlimit(RLIMIT_NOFILE, &files));
    files.rlim_cur = files.rlim_max;
    must(!setrlimit(RLIMIT_NOFILE, &files));
    must(!bind(listener, (struct sockaddr *)&place, length) && !listen(listener, 4096));
    must(!getsockname(listener, (struct sockaddr *)&place, &length) && !pipe(start));
    connections = count;
    rounds = messages / count;
    pin();
    pid_t client = fork();
    must(client >= 0);
    if (client == 0) {
        close(start[1]);
        for (int index = 0; index < count; index++) {
            int made = socket(AF_INET, SOCK_STREAM, 0);
            must(!connect(made, (struct sockaddr *)&place, length));
            set_up(index, made);
        }
        ask(start[0]);
    }
    close(start[0]);
    to_client = start[1];
    for (int index = 0; index < count; index++) set_up(index, accept(listener, NULL, NULL));
    close(listener);
    must(!clock_getcpuclockid(client, &client_clock));
}

void echo_run(void) {
    double wall = clock_ns(CLOCK_MONOTONIC);
    double cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) + clock_ns(client_clock);
    must(write(to_client, "g", 1) == 1);
    for (long round = 0; round < rounds; round++) {
        for (int index = 0; index < connections; index++) {
            receive_from(index);
            send_to(index);
        }
    }
    cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) + clock_ns(client_clock) - cpu;
    wall = clock_ns(CLOCK_MONOTONIC) - wall;
    double messages = (double)rounds * connections;
    printf("%.1f %.1f\n", cpu / messages, wall / messages);
}
