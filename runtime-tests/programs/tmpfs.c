/* What the container has put into its tmpfs: files, holes, links, modes, owners, times, special files. */
#include "program.h"

/* More than the header of an archive has room for, and its first extension. */
#define PARTS 60
#define DISTANCE 20480

int main(void)
{
	static const char *const mounts[] = { "/tmp", "/dev/shm", "/run" };
	char text[4096];
	struct stat status;
	struct timespec times[2] = { { 1000000000, 0 }, { 1500000000, 0 } };
	for (size_t at = 0; at < COUNT(mounts); at++) {
		must(chdir(mounts[at]));
		must(mkdir("directory", 0750));
		must(chmod("directory", 02750));
		must(mkdir("directory/inner", 0700));
		write_file("directory/inner/file", "content");
		must(chmod("directory/inner/file", 04751));
		must(symlink("directory/inner/file", "link"));
		must(link("directory/inner/file", "hard link"));
		must(mkfifo("fifo", 0600));
		int fd = must(open("sparse", O_RDWR | O_CREAT, 0600));
		expect(pwrite(fd, "end", 3, 5000000), 3);
		close(fd);
		fd = must(open("holes", O_RDWR | O_CREAT, 0600));
		for (int part = 1; part <= PARTS; part++)
			expect(pwrite(fd, &part, sizeof part, DISTANCE * part), sizeof part);
		must(ftruncate(fd, DISTANCE * (PARTS + 1)));
		close(fd);
		must(lchown("sparse", 12, 34));
		must(utimensat(AT_FDCWD, "sparse", times, 0));
		write_file("with \n and \377 in its name", "");
	}
	must(chdir("/"));

	hold();

	for (size_t at = 0; at < COUNT(mounts); at++) {
		must(chdir(mounts[at]));
		must(stat("directory", &status));
		expect(status.st_mode, S_IFDIR | 02750);
		expect_text(read_file("link", text, sizeof text), "content");
		must(stat("directory/inner/file", &status));
		expect(status.st_mode, S_IFREG | 04751);
		expect(status.st_nlink, 2);
		ino_t inode = status.st_ino;
		must(stat("hard link", &status));
		expect(status.st_ino, inode);
		must(lstat("link", &status));
		expect(status.st_mode & S_IFMT, S_IFLNK);
		must(lstat("fifo", &status));
		expect(status.st_mode, S_IFIFO | 0600);
		must(stat("sparse", &status));
		expect(status.st_size, 5000003);
		expect_between(status.st_blocks, 1, 64);
		expect(status.st_uid, 12);
		expect(status.st_gid, 34);
		expect(status.st_mtim.tv_sec, times[1].tv_sec);
		int fd = must(open("holes", O_RDWR));
		for (int part = 1; part <= PARTS; part++) {
			int found;
			expect(pread(fd, &found, sizeof found, DISTANCE * part), sizeof found);
			expect(found, part);
		}
		must(fstat(fd, &status));
		expect(status.st_size, DISTANCE * (PARTS + 1));
		expect_between(status.st_blocks, 8 * PARTS, 16 * PARTS);
		close(fd);
		must(access("with \n and \377 in its name", F_OK));
	}
	return pass();
}
