/* Transparent huge pages, whole and broken by holes and rights. */
#include "program.h"

#define HUGE_PAGE (2L << 20)
#define PAGE 4096

int main(void)
{
	unsigned char *area = must_map(mmap(NULL, 9 * HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	unsigned char *memory = (unsigned char *)(((uintptr_t)area + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1));
	if (madvise(memory, 8 * HUGE_PAGE, MADV_HUGEPAGE) < 0 && errno != EINVAL)
		fail("madvise: %s", strerror(errno));
	fill(memory, 4 * HUGE_PAGE, 1);
	must(madvise(memory + HUGE_PAGE + 10 * PAGE, 20 * PAGE, MADV_DONTNEED));
	must(mprotect(memory + 2 * HUGE_PAGE + 7 * PAGE, PAGE, PROT_READ));
	/* A huge page of zeros, touched by reading only. */
	expect(is_zero(memory + 5 * HUGE_PAGE, HUGE_PAGE), true);

	hold();

	unsigned char *expected = must_map(malloc(4 * HUGE_PAGE));
	fill(expected, 4 * HUGE_PAGE, 1);
	memset(expected + HUGE_PAGE + 10 * PAGE, 0, 20 * PAGE);
	expect_bytes(memory, expected, 4 * HUGE_PAGE);
	expect(is_zero(memory + 4 * HUGE_PAGE, 4 * HUGE_PAGE), true);
	return pass();
}
