/* Shared anonymous memory of three processes, mapped in part, with other rights, and alone. */
#include "program.h"

#define PAGE 4096

int main(void)
{
	volatile int *flags = share(PAGE);
	unsigned char *memory = share(32 * PAGE);
	unsigned char *alone = share(4 * PAGE);
	fill(memory, 16 * PAGE, 1);
	fill(alone + PAGE, PAGE, 2);
	pid_t child[2];
	for (int number = 0; number < 2; number++) {
		child[number] = must(fork());
		if (child[number] != 0)
			continue;
		must(munmap(alone, 4 * PAGE));
		if (number == 1) {
			/* A part, elsewhere, read-only. */
			unsigned char *moved = must_map(mmap(NULL, 8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
			moved = must_map(mremap(memory + 8 * PAGE, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, moved));
			must(munmap(memory, 8 * PAGE));
			must(mprotect(moved, 8 * PAGE, PROT_READ));
			memory = moved - 8 * PAGE;
		}
		raise_flag(&flags[0]);
		wait_for_sigterm();
		expect(memory[8 * PAGE], 0x77);
		if (number == 0)
			memory[20 * PAGE] = 0x99;
		_exit(0);
	}
	wait_for_flag(&flags[0], 2);

	hold();

	expect_filled(memory, 16 * PAGE, 1);
	expect(is_zero(memory + 16 * PAGE, 16 * PAGE), true);
	expect_filled(alone + PAGE, PAGE, 2);
	expect(is_zero(alone, PAGE), true);
	memory[8 * PAGE] = 0x77;
	for (int number = 0; number < 2; number++) {
		must(kill(child[number], SIGTERM));
		expect_success(child[number]);
	}
	expect(memory[20 * PAGE], 0x99);
	must(madvise(alone, 4 * PAGE, MADV_REMOVE));
	expect(is_zero(alone, 4 * PAGE), true);
	return pass();
}
