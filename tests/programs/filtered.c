// Runs under a seccomp filter that kills it at any system call but a few.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "blocks.h"

#define ALLOW(call)                                                            \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1),                      \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void confine(void) {
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(read),   ALLOW(write),  ALLOW(brk),        ALLOW(mmap),
        ALLOW(munmap), ALLOW(mremap), ALLOW(exit_group), ALLOW(getrandom),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = {sizeof rules / sizeof *rules, rules};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) _exit(97);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) _exit(97);
}

int main(int arguments, char **argument) {
    int before = arguments == 2 && strcmp(argument[1], "before") == 0;
    if (before) confine();
    wait_for_go();
    if (!before) confine();
    for (size_t i = 0; i < 2000; i++) {
        struct block block = by_malloc(i * 100);
        block = by_realloc(block, i * 90 + 1);
        if (i % 4) release(&block);
    }
    finish();
    _exit(0);
}
