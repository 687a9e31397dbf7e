// Allocates in signal handlers: of a program that was interrupted anywhere, on
// a stack of its own, and of an allocator's call that has not returned.
#include "truth.h"
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>

static sigjmp_buf back;
static void *volatile kept;

static __attribute__((noinline)) void on_alternate_stack(int signal) {
  (void)signal;
  kept = malloc(1111);
}

static __attribute__((noinline)) void within_allocator(int signal) {
  (void)signal;
  kept = malloc(2222);
  siglongjmp(back, 1);
}

static __attribute__((noinline)) int interrupted(int depth) {
  if (depth > 0)
    return interrupted(depth - 1) + 1;
  return raise(SIGUSR1);
}

static __attribute__((noinline)) int writes_nowhere(void) {
  // The block's address cannot be written: a fault in the allocator.
  return posix_memalign((void **)(uintptr_t)64, 64, 100);
}

int main(void) {
  static char stack[1 << 16];
  stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  struct sigaction action = {.sa_handler = on_alternate_stack, .sa_flags = SA_ONSTACK};
  sigaltstack(&alternate, NULL);
  sigaction(SIGUSR1, &action, NULL);
  action.sa_handler = within_allocator;
  sigaction(SIGSEGV, &action, NULL);
  wait_for_go();
  interrupted(3);
  if (!sigsetjmp(back, 1))
    writes_nowhere();
  tell_truth();
  wait_for_line();
}
