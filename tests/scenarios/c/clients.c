// Clients of another scenario's server. Arguments: port, how many, how many of the first never read.
#include <sys/epoll.h>

#include "peers.h"

int main(int count_arguments, char **arguments) {
    static char data[1 << 20];
    if (count_arguments != 4) return 1;
    unsigned short port = (unsigned short)atoi(arguments[1]);
    int number = atoi(arguments[2]), stalled = atoi(arguments[3]), events = epoll_create1(0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int client = 0; client < number; client++) {
        int connection = connect_to(port, 0);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = connection};
        if (client >= stalled) epoll_ctl(events, EPOLL_CTL_ADD, connection, &event);
    }
    for (;;) {
        struct epoll_event ready_ones[64];
        int ready_number = epoll_wait(events, ready_ones, 64, -1);
        for (int index = 0; index < ready_number; index++)
            if (recv(ready_ones[index].data.fd, data, sizeof data, MSG_DONTWAIT) == 0) return 0;
    }
}
