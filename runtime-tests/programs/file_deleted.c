/* Files that were removed while open: content, position, two descriptors, two names, a hole, and a name used again. */
#include "program.h"

int main(void)
{
	char text[32] = "";
	struct stat status;
	unsigned char content[5000];
	int fd = must(open("/data/removed", O_RDWR | O_CREAT, 0604));
	fill(content, sizeof content, 1);
	expect(write(fd, content, sizeof content), sizeof content);
	must(ftruncate(fd, 300000));
	expect(pwrite(fd, "end", 3, 299997), 3);
	must(lseek(fd, 4000, SEEK_SET));
	int reader = must(open("/data/removed", O_RDONLY));
	must(unlink("/data/removed"));
	write_file("/data/removed", "somebody else's");
	int of_tmpfs = must(open("/dev/shm/removed", O_RDWR | O_CREAT, 0600));
	expect(write(of_tmpfs, "tmpfs", 5), 5);
	must(unlink("/dev/shm/removed"));
	int nameless = must(open("/data", O_RDWR | O_TMPFILE, 0600));
	expect(write(nameless, "nameless", 8), 8);
	pid_t child = must(fork());
	if (child == 0) {
		wait_for_sigterm();
		expect(pwrite(of_tmpfs, "TM", 2, 0), 2);
		_exit(0);
	}

	hold();

	must(fstat(fd, &status));
	expect(status.st_nlink, 0);
	expect(status.st_size, 300000);
	expect(status.st_mode & 07777, 0604);
	/* The hole is still one. */
	expect_between(status.st_blocks, 1, 100);
	expect(lseek(fd, 0, SEEK_CUR), 4000);
	unsigned char found[5000];
	expect(pread(reader, found, sizeof found, 0), sizeof found);
	expect_bytes(found, content, sizeof found);
	expect(pread(reader, text, 3, 299997), 3);
	expect_text(text, "end");
	expect(pwrite(fd, "new", 3, 0), 3);
	expect(pread(reader, text, 3, 0), 3);
	expect_text(text, "new");
	expect_text(read_file("/data/removed", text, sizeof text), "somebody else's");
	expect(pread(nameless, text, 8, 0), 8);
	expect_bytes(text, "nameless", 8);
	must(kill(child, SIGTERM));
	expect_success(child);
	memset(text, 0, sizeof text);
	expect(pread(of_tmpfs, text, 10, 0), 5);
	expect_text(text, "TMpfs");
	expect_error(access("/dev/shm/removed", F_OK), ENOENT);
	return pass();
}
