/* Nanoseconds of times in the container's tmpfs: what make compares. */
#include "program.h"

int main(void)
{
	struct stat status;
	struct timespec times[2] = { { 1000000000, 123456789 }, { 1500000000, 987654321 } };
	write_file("/dev/shm/file", "content");
	must(mkdir("/dev/shm/directory", 0755));
	write_file("/dev/shm/directory/file", "");
	must(utimensat(AT_FDCWD, "/dev/shm/file", times, 0));
	must(utimensat(AT_FDCWD, "/dev/shm/directory", times, 0));

	hold();

	const char *const names[] = { "/dev/shm/file", "/dev/shm/directory" };
	for (size_t at = 0; at < COUNT(names); at++) {
		must(stat(names[at], &status));
		expect(status.st_mtim.tv_sec, times[1].tv_sec);
		expect(status.st_mtim.tv_nsec, times[1].tv_nsec);
	}
	return pass();
}
