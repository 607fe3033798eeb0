/* What is checkpointed by floe-bench: SIZE MiB of memory in small pages, all different. Makes FILE when it is filled. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int count, char **arguments)
{
	if (count != 3)
		return 2;
	size_t size = strtoul(arguments[1], NULL, 10) << 20;
	uint64_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED || madvise(memory, size, MADV_NOHUGEPAGE) < 0)
		return 1;
	uint64_t random = 88172645463325252UL;
	for (size_t at = 0; at < size / sizeof *memory; at++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		memory[at] = random;
	}
	if (open(arguments[2], O_CREAT | O_WRONLY, 0600) < 0)
		return 1;
	for (;;)
		pause();
}
