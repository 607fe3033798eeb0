/* Open files of namespaces: they still are the ones that the process is in. */
#include "program.h"

int main(void)
{
	static const char *const kinds[] = { "pid", "net", "mnt", "uts", "ipc", "cgroup", "user" };
	int fds[COUNT(kinds)];
	char path[64];
	for (size_t at = 0; at < COUNT(kinds); at++) {
		snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[at]);
		fds[at] = must(open(path, O_RDONLY | O_CLOEXEC));
	}

	hold();

	for (size_t at = 0; at < COUNT(kinds); at++) {
		struct stat opened, own;
		snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[at]);
		must(stat(path, &own));
		must(fstat(fds[at], &opened));
		if (own.st_ino != opened.st_ino)
			fail("%s: expected %lu, found %lu", kinds[at], own.st_ino, opened.st_ino);
	}
	return pass();
}
