// Sockets in whatever state the suite asks for.
//
// A line on standard input is a command: a verb and up to five numbers, the first
// mostly a group of sockets. It is answered by numbers and the event `truth`. A
// server and its clients are two processes of this program.
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "truth.h"

#define GROUPS 16
#define MOST 20000
#define REQUEST 64
#define ANSWER 200
#define PIECE 16384

static struct group {
    int *sockets;
    unsigned long count;
} groups[GROUPS];

static char bytes[1 << 16];

static void must(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "%s: %s\n", what, strerror(errno));
        tell_event(what);
        _exit(92);
    }
}

static struct group *group(long number) {
    must(number >= 0 && number < GROUPS, "no such group");
    return &groups[number];
}

static void add(struct group *group, int socket) {
    if (!group->sockets) group->sockets = calloc(MOST, sizeof *group->sockets);
    must(group->count < MOST, "too many sockets");
    group->sockets[group->count++] = socket;
}

// 127.0.0.END, of end 0 the other family's.
static socklen_t loopback(struct sockaddr_storage *place, long end, long port) {
    memset(place, 0, sizeof *place);
    if (end == 0) {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)place;
        *six = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
        six->sin6_addr = in6addr_loopback;
        return sizeof *six;
    }
    struct sockaddr_in *four = (struct sockaddr_in *)place;
    *four = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    four->sin_addr.s_addr = htonl(0x7f000000u + (uint32_t)end);
    return sizeof *four;
}

static unsigned long port_of(int socket) {
    struct sockaddr_in6 place;
    socklen_t length = sizeof place;
    must(!getsockname(socket, (struct sockaddr *)&place, &length), "getsockname");
    return ntohs(place.sin6_port);
}

static int bound(int family, int type, long port, int is_shared) {
    int one = 1, bound = socket(family, type, 0);
    must(bound >= 0, "socket");
    must(!setsockopt(bound, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), "SO_REUSEADDR");
    if (is_shared) must(!setsockopt(bound, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one), "SO_REUSEPORT");
    struct sockaddr_in6 any = {.sin6_family = (sa_family_t)family, .sin6_port = htons((uint16_t)port)};
    socklen_t length = family == AF_INET6 ? sizeof any : sizeof(struct sockaddr_in);
    must(!bind(bound, (struct sockaddr *)&any, length), "bind");
    return bound;
}

// listen GROUP PORT BACKLOG SHARED SIX: port 0 is any; six takes both families.
static void listen_at(const long *number) {
    int family = number[4] ? AF_INET6 : AF_INET;
    int listener = bound(family, SOCK_STREAM, number[1], number[3] != 0);
    must(!listen(listener, (int)number[2]), "listen");
    add(group(number[0]), listener);
    tell("port", port_of(listener));
}

SITE_FUNCTION static void connect_to(int socket, const struct sockaddr_storage *place, socklen_t length) {
    must(!connect(socket, (const struct sockaddr *)place, length), "connect");
}

// connect GROUP PORT COUNT END BUFFER: from 127.0.0.END to 127.0.0.1, or from and to
// ::1; a receive buffer of 0 bytes is the kernel's choice.
static void connect_all(const long *number) {
    struct sockaddr_storage from, to;
    socklen_t length = loopback(&from, number[3], 0);
    loopback(&to, number[3] ? 1 : 0, number[1]);
    for (long done = 0; done < number[2]; done++) {
        int one = 1, buffer = (int)number[4];
        int made = socket(from.ss_family, SOCK_STREAM, 0);
        must(made >= 0, "socket");
        if (buffer) must(!setsockopt(made, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer), "SO_RCVBUF");
        // Leaves the choice of the port to connect, which knows what is free for it.
        setsockopt(made, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        must(!bind(made, (struct sockaddr *)&from, length), "bind");
        connect_to(made, &to, length);
        add(group(number[0]), made);
    }
}

SITE_FUNCTION static int accept_from(int listener) {
    return accept4(listener, NULL, NULL, SOCK_NONBLOCK);
}

// accept GROUP LISTENERS COUNT: of count 0 all that wait.
static void accept_all(const long *number) {
    unsigned long accepted = 0;
    for (long left = number[2]; left > 0 || number[2] == 0; left--) {
        struct pollfd waiting = {.fd = group(number[1])->sockets[0], .events = POLLIN};
        if (number[2] == 0 && poll(&waiting, 1, 0) != 1) break;
        int made = accept_from(waiting.fd);
        must(made >= 0, "accept");
        add(group(number[0]), made);
        accepted++;
    }
    tell("accepted", accepted);
}

SITE_FUNCTION static ssize_t write_to(int socket, size_t length) {
    return send(socket, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
}

// write GROUP BYTES PIECE: to each so many bytes, or as many as there is room for.
static void write_all(const long *number) {
    unsigned long written = 0;
    struct group *to = group(number[0]);
    for (unsigned long index = 0; index < to->count; index++) {
        for (long left = number[1]; left > 0;) {
            ssize_t done = write_to(to->sockets[index], (size_t)(left < number[2] ? left : number[2]));
            if (done < 0 && errno == EAGAIN) break;
            must(done > 0, "write");
            written += (unsigned long)done;
            left -= done;
        }
    }
    tell("written", written);
}

// The handler that does not care whether its peer reads.
SITE_FUNCTION static unsigned long flood(int socket) {
    unsigned long written = 0;
    ssize_t done;
    while ((done = send(socket, bytes, PIECE, MSG_DONTWAIT | MSG_NOSIGNAL)) > 0) written += (unsigned long)done;
    must(errno == EAGAIN, "flood");
    return written;
}

static void flood_all(const long *number) {
    unsigned long written = 0;
    struct group *to = group(number[0]);
    for (unsigned long index = 0; index < to->count; index++) written += flood(to->sockets[index]);
    tell("written", written);
}

SITE_FUNCTION static ssize_t receive_from(int socket, size_t length) {
    return recv(socket, bytes, length < sizeof bytes ? length : sizeof bytes, MSG_DONTWAIT);
}

// Waits until each has brought so many bytes.
static unsigned long receive_each(struct group *from, unsigned long length) {
    struct pollfd *waiting = calloc(from->count, sizeof *waiting);
    unsigned long *left = calloc(from->count, sizeof *left);
    unsigned long open = 0, received = 0;
    for (unsigned long index = 0; index < from->count; index++) {
        waiting[index] = (struct pollfd){.fd = length ? from->sockets[index] : -1, .events = POLLIN};
        left[index] = length;
        open += length != 0;
    }
    while (open) {
        must(poll(waiting, from->count, -1) > 0, "poll");
        for (unsigned long index = 0; index < from->count; index++) {
            if (!waiting[index].revents) continue;
            ssize_t done = receive_from(waiting[index].fd, left[index]);
            must(done > 0, "receive");
            received += (unsigned long)done;
            left[index] -= (unsigned long)done;
            if (left[index] == 0) {
                waiting[index].fd = -1;
                open--;
            }
        }
    }
    free(waiting);
    free(left);
    return received;
}

static void receive_all(const long *number) {
    tell("received", receive_each(group(number[0]), (unsigned long)number[1]));
}

// end GROUP: says that nothing more will be sent.
static void end_all(const long *number) {
    struct group *these = group(number[0]);
    for (unsigned long index = 0; index < these->count; index++)
        must(!shutdown(these->sockets[index], SHUT_WR), "shutdown");
}

// drain GROUP: reads from each until its peer has ended.
static void drain_all(const long *number) {
    unsigned long received = 0;
    struct group *from = group(number[0]);
    for (unsigned long index = 0; index < from->count; index++) {
        struct pollfd waiting = {.fd = from->sockets[index], .events = POLLIN};
        ssize_t done;
        do {
            must(poll(&waiting, 1, -1) == 1, "poll");
            done = receive_from(waiting.fd, sizeof bytes);
            must(done >= 0, "drain");
            received += (unsigned long)done;
        } while (done);
    }
    tell("received", received);
}

// The handler whose peers read what it says.
SITE_FUNCTION static void answer(int socket) {
    must(send(socket, bytes, ANSWER, MSG_DONTWAIT | MSG_NOSIGNAL) == ANSWER, "answer");
}

static void answer_each(struct group *to) {
    for (unsigned long index = 0; index < to->count; index++) answer(to->sockets[index]);
}

// answer GROUP: without being asked.
static void answer_all(const long *number) {
    answer_each(group(number[0]));
    tell("written", group(number[0])->count * ANSWER);
}

// serve GROUP ROUNDS answers what `ask GROUP ROUNDS` asks at the other end.
static void serve(const long *number) {
    for (long round = 0; round < number[1]; round++) {
        receive_each(group(number[0]), REQUEST);
        answer_each(group(number[0]));
    }
}

static void ask(const long *number) {
    struct group *of = group(number[0]);
    for (long round = 0; round < number[1]; round++) {
        for (unsigned long index = 0; index < of->count; index++)
            must(write_to(of->sockets[index], REQUEST) == REQUEST, "ask");
        receive_each(of, ANSWER);
    }
}

static void close_all(const long *number) {
    struct group *these = group(number[0]);
    for (unsigned long index = 0; index < these->count; index++) close(these->sockets[index]);
    these->count = 0;
}

// datagrams GROUP COUNT BYTES: to each of so many UDP sockets one of that size.
static void datagrams(const long *number) {
    unsigned long written = 0;
    for (long done = 0; done < number[1]; done++) {
        int receiver = bound(AF_INET, SOCK_DGRAM, 0, 0), sender = socket(AF_INET, SOCK_DGRAM, 0);
        struct sockaddr_storage to;
        socklen_t length = loopback(&to, 1, (long)port_of(receiver));
        connect_to(sender, &to, length);
        must(write_to(sender, (size_t)number[2]) == number[2], "datagram");
        written += (unsigned long)number[2];
        add(group(number[0]), receiver);
        add(group(number[0]), sender);
    }
    tell("written", written);
}

// unix GROUP COUNT BYTES DATAGRAM: so many pairs, into one end of each so many bytes.
static void unix_pairs(const long *number) {
    unsigned long written = 0;
    for (long done = 0; done < number[1]; done++) {
        int pair[2];
        must(!socketpair(AF_UNIX, number[3] ? SOCK_DGRAM : SOCK_STREAM, 0, pair), "socketpair");
        must(write_to(pair[0], (size_t)number[2]) == number[2], "unix");
        written += (unsigned long)number[2];
        add(group(number[0]), pair[0]);
        add(group(number[0]), pair[1]);
    }
    tell("written", written);
}

static int churning;
static pthread_t churner;

// Connections that come and go.
static void *churn(void *unused) {
    int listener = bound(AF_INET, SOCK_STREAM, 0, 0);
    must(!listen(listener, 16), "listen");
    struct sockaddr_storage to;
    socklen_t length = loopback(&to, 1, (long)port_of(listener));
    // Reset: thousands would wait out their time.
    struct linger reset = {.l_onoff = 1};
    unsigned long rounds = 0;
    for (; __atomic_load_n(&churning, __ATOMIC_RELAXED); rounds++) {
        int ends[2] = {socket(AF_INET, SOCK_STREAM, 0)};
        connect_to(ends[0], &to, length);
        ends[1] = accept_from(listener);
        for (int end = 0; end < 2; end++) {
            must(write_to(ends[end], 5000) > 0, "churn");
            setsockopt(ends[end], SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        }
        close(ends[0]);
        close(ends[1]);
    }
    close(listener);
    return (void *)(rounds + (unsigned long)(unused != NULL));
}

static void start_churn(const long *number) {
    (void)number;
    __atomic_store_n(&churning, 1, __ATOMIC_RELAXED);
    must(!pthread_create(&churner, NULL, churn, NULL), "thread");
}

static void end_churn(const long *number) {
    (void)number;
    void *rounds;
    __atomic_store_n(&churning, 0, __ATOMIC_RELAXED);
    must(!pthread_join(churner, &rounds), "join");
    tell("rounds", (unsigned long)rounds);
}

static const struct command {
    const char *verb;
    void (*run)(const long *number);
} commands[] = {
    {"listen", listen_at}, {"connect", connect_all}, {"accept", accept_all},
    {"write", write_all},  {"flood", flood_all},     {"receive", receive_all},
    {"answer", answer_all}, {"serve", serve},        {"ask", ask},
    {"end", end_all},      {"drain", drain_all},
    {"close", close_all},  {"datagrams", datagrams}, {"unix", unix_pairs},
    {"churn", start_churn}, {"calm", end_churn},
};

int main(void) {
    struct rlimit files;
    must(!getrlimit(RLIMIT_NOFILE, &files), "getrlimit");
    files.rlim_cur = files.rlim_max;
    must(!setrlimit(RLIMIT_NOFILE, &files), "setrlimit");
    tell_event("ready");
    char line[200], verb[20];
    while (fgets(line, sizeof line, stdin)) {
        long number[5] = {0};
        sscanf(line, "%19s %ld %ld %ld %ld %ld", verb, number, number + 1, number + 2, number + 3, number + 4);
        const struct command *command = commands, *end = commands + sizeof commands / sizeof *commands;
        while (command < end && strcmp(command->verb, verb)) command++;
        must(command < end, "no such command");
        command->run(number);
        tell_event("truth");
    }
    return 0;
}
