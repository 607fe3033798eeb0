/* Guard regions (MADV_GUARD_INSTALL, Linux 6.13) inside a mapping: still fatal to touch, still removable. */
#include "program.h"
#include <setjmp.h>

#define PAGE 4096
#define GUARD_INSTALL 102
#define GUARD_REMOVE 103

static sigjmp_buf back;

static void on_fault(int signal)
{
	(void)signal;
	siglongjmp(back, 1);
}

static bool faults(volatile unsigned char *address)
{
	if (sigsetjmp(back, 1))
		return true;
	(void)*address;
	return false;
}

int main(void)
{
	unsigned char *memory = must_map(mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	must(sigaction(SIGSEGV, &(struct sigaction){ .sa_handler = on_fault }, NULL));
	fill(memory, 16 * PAGE, 1);
	bool supported = madvise(memory + 4 * PAGE, 2 * PAGE, GUARD_INSTALL) == 0;
	if (!supported && errno != EINVAL)
		fail("madvise: %s", strerror(errno));
	if (supported)
		must(madvise(memory + 15 * PAGE, PAGE, GUARD_INSTALL));

	hold();

	for (int page = 0; page < 16; page++) {
		bool guarded = supported && (page == 4 || page == 5 || page == 15);
		if (faults(memory + page * PAGE) != guarded)
			fail("page %d: expected %s", page, guarded ? "a fault" : "none");
	}
	if (supported) {
		must(madvise(memory + 4 * PAGE, 2 * PAGE, GUARD_REMOVE));
		expect(is_zero(memory + 4 * PAGE, 2 * PAGE), true);
	}
	return pass();
}
