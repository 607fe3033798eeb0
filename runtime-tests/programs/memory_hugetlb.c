/* Huge pages of hugetlbfs: private and inherited, shared, with and without a descriptor. */
#include "program.h"
#include <linux/memfd.h>

#define HUGE_PAGE (2UL << 20)

static unsigned char *map(int sharing, int fd)
{
	int flags = fd < 0 ? MAP_ANONYMOUS | MAP_HUGETLB : 0;
	return must_map(mmap(NULL, 2 * HUGE_PAGE, PROT_READ | PROT_WRITE, sharing | flags, fd, 0));
}

static void expect_huge(const void *address)
{
	static char text[1 << 20];
	char start[32];
	read_file("/proc/self/smaps", text, sizeof text);
	snprintf(start, sizeof start, "%lx-", (unsigned long)address);
	char *entry = strstr(text, start);
	char *line = entry ? strstr(entry, "KernelPageSize:") : NULL;
	long kb = 0;
	if (line == NULL || sscanf(line, "KernelPageSize: %ld", &kb) != 1)
		fail("no mapping at %p", address);
	expect(kb * 1024, (long)HUGE_PAGE);
}

int main(void)
{
	volatile int *flags = share(4096);
	unsigned char *own = map(MAP_PRIVATE, -1);
	fill(own, HUGE_PAGE, 1);
	unsigned char *closed = map(MAP_PRIVATE, -1);
	fill(closed, HUGE_PAGE / 2, 2);
	must(mprotect(closed, HUGE_PAGE, PROT_READ));
	unsigned char *shared = map(MAP_SHARED, -1);
	fill(shared + HUGE_PAGE, HUGE_PAGE, 3);
	int fd = must(memfd_create("huge", MFD_HUGETLB | MFD_HUGE_2MB | MFD_ALLOW_SEALING));
	must(ftruncate(fd, 2 * HUGE_PAGE));
	unsigned char *file = map(MAP_SHARED, fd);
	fill(file, HUGE_PAGE, 4);
	must(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
	pid_t child = must(fork());
	if (child == 0) {
		must(close(fd));
		own[10] ^= 0xff;
		raise_flag(&flags[0]);
		wait_for_sigterm();
		own[10] ^= 0xff;
		expect_filled(own, HUGE_PAGE, 1);
		expect(shared[0], 0x55);
		shared[1] = file[0];
		_exit(0);
	}
	wait_for_flag(&flags[0], 1);

	hold();

	expect_huge(own);
	expect_huge(closed);
	expect_huge(shared);
	expect_huge(file);
	expect_filled(own, HUGE_PAGE, 1);
	expect(is_zero(own + HUGE_PAGE, HUGE_PAGE), true);
	expect_filled(closed, HUGE_PAGE / 2, 2);
	expect(is_zero(closed + HUGE_PAGE / 2, HUGE_PAGE / 2), true);
	expect(is_zero(shared, HUGE_PAGE), true);
	expect_filled(shared + HUGE_PAGE, HUGE_PAGE, 3);
	expect_filled(file, HUGE_PAGE, 4);
	expect(is_zero(file + HUGE_PAGE, HUGE_PAGE), true);
	expect(fcntl(fd, F_GET_SEALS), F_SEAL_GROW);
	file[0] = 0x66;
	unsigned char byte;
	expect(pread(fd, &byte, 1, 0), 1);
	expect(byte, 0x66);
	shared[0] = 0x55;
	must(kill(child, SIGTERM));
	expect_success(child);
	expect(shared[1], 0x66);
	must(mprotect(closed, HUGE_PAGE, PROT_READ | PROT_WRITE));
	closed[0] = 1;
	return pass();
}
