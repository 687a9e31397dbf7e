// Leaves allocator calls without returning: `jumps longjmp`, `jumps thread`.
//
// A large malloc maps memory; the system call is made to raise SIGSYS instead
// (syscall user dispatch, Linux 5.11), whose handler does not come back. So
// each call is left for certain, at a place where glibc's heap is whole.
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "blocks.h"

#ifndef PR_SET_SYSCALL_USER_DISPATCH
#define PR_SET_SYSCALL_USER_DISPATCH 59
#define PR_SYS_DISPATCH_ON 1
#endif

#define LARGE (1 << 20)

static __thread volatile char blocked;
static sigjmp_buf back;
static int leaves_thread;

static void on_call(int signal) {
    (void)signal;
    blocked = 0;
    if (leaves_thread) syscall(SYS_exit, 0);
    siglongjmp(back, 1);
}

static void dispatch(void) {
    if (prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &blocked)) _exit(97);
}

// Leaves malloc; the second time it calls calloc for as much, from the very
// same place on the stack, and stays.
SITE(left);
SITE_FUNCTION static void left(int stays) {
    void *address;
    if (stays) {
        address = calloc(1, LARGE);
    } else {
        blocked = 1;
        address = malloc(LARGE);
        blocked = 0;
    }
    if (address) count_allocated(&site_left, LARGE);
}

// What comes after a left call, from the same depth of the stack and deeper.
static void work(size_t rounds) {
    for (size_t i = 0; i < rounds; i++) {
        struct block block = by_malloc(i);
        block = by_realloc(block, i + 10);
        if (i % 3) release(&block);
        block = by_calloc(1, LARGE);
        if (i % 2) release(&block);
    }
}

static void *thread(void *unused) {
    // The thread's arena is set up by a first call: only the second one maps.
    by_malloc(10);
    dispatch();
    left(0);
    return unused;
}

int main(int arguments, char **argument) {
    if (arguments != 2) return 93;
    struct sigaction action = {.sa_handler = on_call, .sa_flags = SA_NODEFER};
    sigaction(SIGSYS, &action, NULL);
    leaves_thread = strcmp(argument[1], "thread") == 0;
    volatile unsigned long calls = 0, bytes = 0;
    free(malloc(10)); // as in the thread
    mallopt(M_MMAP_THRESHOLD, 128 << 10); // fixed, or glibc raises it
    wait_for_go();
    if (leaves_thread) {
        pthread_t one;
        pthread_create(&one, NULL, thread, NULL);
        pthread_join(one, NULL);
        calls = 1, bytes = LARGE;
        work(100);
    } else {
        dispatch();
        for (volatile int i = 0; i < 50; i++) {
            if (sigsetjmp(back, 1) == 0) left(0);
            else calls++, bytes += LARGE;
            if (i % 2) left(1);
            work(7);
        }
        work(100);
    }
    tell("missed_calls", calls);
    tell("missed_bytes", bytes);
    finish();
    return 0;
}
