// A tree of processes, each at work behind barriers of its own:
// `forks tree DEPTH` has each process fork two more, one after the other;
// `forks shared` has a child in its parent's memory (clone with CLONE_VM), and
// `forks vforked` waits for that child (CLONE_VFORK);
// `forks reuse` has a second child with the pid of the first;
// `forks many N` forks N children that end at once.
#include "blocks.h"

#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { BLOCKS = 1000, INHERITED = 300 };

static struct block kept[BLOCKS];
static unsigned long inherited_freed;

// A process's own work: what it inherited is not its own, and is given back.
static void work(void) {
    for (size_t i = 0; i < INHERITED; i++) {
        if (kept[i].address && !kept[i].site) inherited_freed++;
        if (kept[i].address) free(kept[i].address);
        if (kept[i].site) gone(&kept[i]);
        kept[i] = by_malloc(i);
    }
    struct block block = by_calloc(3, 500);
    block = by_realloc(block, 90000);
    release(&block);
}

static void begin_anew(void) {
    inherited_freed = 0;
    memset(&site_by_malloc.allocated_blocks, 0, 4 * sizeof(unsigned long));
    memset(&site_by_calloc.allocated_blocks, 0, 4 * sizeof(unsigned long));
    memset(&site_by_realloc.allocated_blocks, 0, 4 * sizeof(unsigned long));
    for (size_t i = 0; i < BLOCKS; i++) kept[i].site = NULL;
}

static void tell_own_truth(void) {
    tell("pid", (unsigned long)getpid());
    tell("inherited_freed", inherited_freed);
    tell_truth();
    wait_for_line();
}

static void wait_for(pid_t child) {
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) _exit(96);
}

static void tree(int depth) {
    wait_for_go();
    work();
    for (int i = 0; depth > 0 && i < 2; i++) {
        pid_t child = fork();
        if (child == 0) {
            begin_anew();
            tree(depth - 1);
            _exit(0);
        }
        wait_for(child);
        // What the child gave back is the parent's still.
        work();
    }
    tell_own_truth();
}

static int in_shared_memory(void *unused) {
    (void)unused;
    wait_for_go();
    for (size_t i = 0; i < 200; i++) kept[i] = by_malloc(i);
    _exit(0);
}

static void shared(int flags) {
    static char stack[1 << 16] __attribute__((aligned(16)));
    wait_for_go();
    pid_t child = clone(in_shared_memory, stack + sizeof stack, CLONE_VM | flags | SIGCHLD, NULL);
    wait_for(child);
    for (size_t i = 0; i < 100; i++) release(&kept[i]);
    tell_own_truth();
}

static pid_t fork_as(pid_t wanted) {
    struct clone_args arguments = {.exit_signal = SIGCHLD};
    if (wanted) {
        arguments.set_tid = (unsigned long)&wanted;
        arguments.set_tid_size = 1;
    }
    return (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
}

static void reuse(void) {
    wait_for_go();
    pid_t wanted = 0;
    for (int i = 0; i < 2; i++) {
        pid_t child = fork_as(wanted);
        if (child == 0) {
            begin_anew();
            wait_for_go();
            work();
            tell_own_truth();
            _exit(0);
        }
        wait_for(child);
        wanted = child;
    }
    tell_own_truth();
}

static void many(int children) {
    wait_for_go();
    for (int i = 0; i < children; i++) {
        pid_t child = fork();
        if (child == 0) {
            by_malloc(100);
            _exit(0);
        }
        wait_for(child);
        if (i % 100 == 0) kept[i / 100 % BLOCKS] = by_malloc((size_t)i);
    }
    tell_own_truth();
}

int main(int arguments, char **argument) {
    const char *what = arguments > 1 ? argument[1] : "";
    int number = arguments > 2 ? atoi(argument[2]) : 0;
    if (strcmp(what, "tree") == 0) tree(number);
    else if (strcmp(what, "shared") == 0) shared(0);
    else if (strcmp(what, "vforked") == 0) shared(CLONE_VFORK);
    else if (strcmp(what, "reuse") == 0) reuse();
    else if (strcmp(what, "many") == 0) many(number);
    else return 93;
    return 0;
}
