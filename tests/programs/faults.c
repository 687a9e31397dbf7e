// Touches fresh pages at two functions, 3 MiB at the one and 1 MiB at the other by turns, as
// often as it is told. With pages of 4 KiB: huge ones would come with one touch.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

static const size_t MIB = 1 << 20;

__attribute__((noinline)) static void touches_most(volatile char *at, size_t bytes) {
	for (size_t i = 0; i < bytes; i += 4096)
		at[i] = 1;
}

__attribute__((noinline)) static void touches_less(volatile char *at, size_t bytes) {
	for (size_t i = 0; i < bytes; i += 4096)
		at[i] = 2;
}

int main(int count, char **arguments) {
	int rounds = count > 1 ? atoi(arguments[1]) : 64;
	puts("{\"event\":\"ready\"}");
	fflush(stdout);
	while (getchar() == 'g') {
		while (getchar() != '\n')
			;
		for (int i = 0; i < rounds; i++) {
			char *at = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			if (at == MAP_FAILED)
				return 1;
			madvise(at, 4 * MIB, MADV_NOHUGEPAGE);
			touches_most(at, 3 * MIB);
			touches_less(at + 3 * MIB, MIB);
			munmap(at, 4 * MIB);
		}
		puts("{\"event\":\"truth\"}");
		fflush(stdout);
	}
	return 0;
}
