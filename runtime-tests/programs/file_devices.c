/* The devices of every container. */
#include "program.h"
#include <sys/sysmacros.h>

int main(void)
{
	static const struct {
		const char *path;
		int flags, minor;
	} devices[] = {
		{ "/dev/null", O_RDWR, 3 },   { "/dev/zero", O_RDONLY | O_CLOEXEC, 5 },	   { "/dev/full", O_WRONLY, 7 },
		{ "/dev/random", O_RDONLY, 8 }, { "/dev/urandom", O_RDONLY | O_NONBLOCK, 9 },
	};
	int fds[COUNT(devices)], flags[COUNT(devices)];
	for (size_t at = 0; at < COUNT(devices); at++) {
		fds[at] = must(open(devices[at].path, devices[at].flags));
		flags[at] = fcntl(fds[at], F_GETFL);
	}
	unsigned char *zero = must_map(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fds[1], 0));
	fill(zero, 4096, 1);

	hold();

	for (size_t at = 0; at < COUNT(devices); at++) {
		struct stat status;
		must(fstat(fds[at], &status));
		expect(status.st_mode & S_IFMT, S_IFCHR);
		expect(major(status.st_rdev), 1);
		expect(minor(status.st_rdev), devices[at].minor);
		expect(fcntl(fds[at], F_GETFL), flags[at]);
		expect(fcntl(fds[at], F_GETFD), devices[at].flags & O_CLOEXEC ? FD_CLOEXEC : 0);
	}
	char buffer[16] = "xxxxxxxxxxxxxxx";
	expect(read(fds[0], buffer, sizeof buffer), 0);
	expect(write(fds[0], buffer, sizeof buffer), sizeof buffer);
	expect(read(fds[1], buffer, sizeof buffer), sizeof buffer);
	expect(is_zero(buffer, sizeof buffer), true);
	expect_error(write(fds[2], buffer, 1), ENOSPC);
	expect(read(fds[3], buffer, 4), 4);
	expect(read(fds[4], buffer, sizeof buffer), sizeof buffer);
	expect_filled(zero, 4096, 1);
	expect(is_zero(zero + 4096, 4096), true);
	return pass();
}
