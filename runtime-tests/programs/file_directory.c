/* Open directories: the position of readdir, O_PATH descriptors, a directory that was removed. */
#include "program.h"
#include <dirent.h>

#define ENTRIES 100

int main(void)
{
	char path[64];
	bool seen[ENTRIES] = { false };
	must(mkdir("/data/many", 0755));
	for (int number = 0; number < ENTRIES; number++) {
		snprintf(path, sizeof path, "/data/many/%d", number);
		write_file(path, "");
	}
	/* Entries come in small buffers, so that the position is the kernel's, not the library's. */
	int fd = must(open("/data/many", O_RDONLY | O_DIRECTORY));
	char buffer[1024];
	int count = 0;
	for (int round = 0; round < 2; round++) {
		long size = must(syscall(SYS_getdents64, fd, buffer, sizeof buffer));
		for (long at = 0; at < size; at += ((struct dirent64 *)(buffer + at))->d_reclen) {
			const char *name = ((struct dirent64 *)(buffer + at))->d_name;
			if (name[0] == '.')
				continue;
			seen[atoi(name)] = true;
			count++;
		}
	}
	expect_between(count, 1, ENTRIES - 1);
	int opath = must(open("/data/many/5", O_PATH | O_CLOEXEC));
	int opath_directory = must(open("/data", O_PATH | O_DIRECTORY));
	must(symlink("many", "/data/link"));
	int opath_link = must(open("/data/link", O_PATH | O_NOFOLLOW));
	must(mkdir("/data/removed", 0700));
	int removed = must(open("/data/removed", O_RDONLY | O_DIRECTORY));
	must(rmdir("/data/removed"));

	hold();

	for (;;) {
		long size = must(syscall(SYS_getdents64, fd, buffer, sizeof buffer));
		if (size == 0)
			break;
		for (long at = 0; at < size; at += ((struct dirent64 *)(buffer + at))->d_reclen) {
			const char *name = ((struct dirent64 *)(buffer + at))->d_name;
			if (name[0] == '.')
				continue;
			if (seen[atoi(name)])
				fail("%s was read twice", name);
			seen[atoi(name)] = true;
			count++;
		}
	}
	expect(count, ENTRIES);
	struct stat status;
	expect(fcntl(opath, F_GETFL) & O_PATH, O_PATH);
	expect(fcntl(opath, F_GETFD), FD_CLOEXEC);
	expect_error(read(opath, buffer, 1), EBADF);
	must(fstatat(opath_directory, "many/7", &status, 0));
	must(fstat(opath_link, &status));
	expect(status.st_mode & S_IFMT, S_IFLNK);
	must(fstat(removed, &status));
	expect(status.st_nlink, 0);
	expect_error(openat(removed, "x", O_CREAT | O_WRONLY, 0600), ENOENT);
	expect_error(access("/data/removed", F_OK), ENOENT);
	return pass();
}
