/* 384 MiB of memory that is all different. */
#include "program.h"

#define SIZE (384L << 20)
#define PAGE 4096
#define FACTOR 0x9e3779b97f4a7c15UL

int main(void)
{
	uint64_t *memory = must_map(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	for (uint64_t at = 0; at < SIZE / sizeof *memory; at++)
		memory[at] = at * FACTOR;

	hold();

	for (uint64_t at = 0; at < SIZE / sizeof *memory; at++)
		if (memory[at] != at * FACTOR)
			fail("page %lu: expected %#lx, found %#lx", at * sizeof *memory / PAGE, at * FACTOR, memory[at]);
	return pass();
}
