/* Three thousand mappings, so that nothing that lists them fits into one buffer. */
#include "program.h"

#define PAGE 4096
#define MAPPINGS 3000

int main(void)
{
	unsigned char *area = must_map(mmap(NULL, 2L * MAPPINGS * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	for (int number = 0; number < MAPPINGS; number++) {
		fill(area + 2L * number * PAGE, 64, number);
		must(mprotect(area + (2L * number + 1) * PAGE, PAGE, number % 2 ? PROT_NONE : PROT_READ));
	}

	hold();

	for (int number = 0; number < MAPPINGS; number++)
		expect_filled(area + 2L * number * PAGE, 64, number);
	return pass();
}
