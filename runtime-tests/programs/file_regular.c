/* Open files: position, flags, shared and separate positions, inherited ones, close-on-exec, numbers with gaps. */
#include "program.h"

#define WHERE "/data/file"

static void expect_text_at(int fd, const char *expected)
{
	char text[16] = "";
	expect(read(fd, text, strlen(expected)), strlen(expected));
	expect_text(text, expected);
}

int main(void)
{
	int fd = must(open(WHERE, O_RDWR | O_CREAT, 0640));
	expect(write(fd, "0123456789", 10), 10);
	must(lseek(fd, 3, SEEK_SET));
	int copy = must(fcntl(fd, F_DUPFD_CLOEXEC, 100));
	int reader = must(open(WHERE, O_RDONLY | O_NOATIME | O_CLOEXEC));
	must(lseek(reader, 7, SEEK_SET));
	int writer = must(open(WHERE, O_WRONLY | O_APPEND | O_NONBLOCK | O_SYNC));
	int large = must(open("/data/large", O_RDWR | O_CREAT, 0600));
	must(lseek(large, 5000000000, SEEK_SET));
	expect(write(large, "far", 3), 3);
	int high = must(fcntl(reader, F_DUPFD, 900));
	int flags[] = { fcntl(fd, F_GETFL), fcntl(reader, F_GETFL), fcntl(writer, F_GETFL) };
	pid_t child = must(fork());
	if (child == 0) {
		wait_for_sigterm();
		expect_text_at(fd, "5");
		_exit(0);
	}
	/* Renamed while open. */
	must(rename("/data/large", "/data/renamed"));

	hold();

	expect(fcntl(fd, F_GETFL), flags[0]);
	expect(fcntl(reader, F_GETFL), flags[1]);
	expect(fcntl(writer, F_GETFL), flags[2]);
	expect(fcntl(fd, F_GETFD), 0);
	expect(fcntl(copy, F_GETFD), FD_CLOEXEC);
	expect(fcntl(reader, F_GETFD), FD_CLOEXEC);
	expect(fcntl(high, F_GETFD), 0);
	expect(copy, 100);
	expect(high, 900);
	expect_text_at(fd, "3");
	expect_text_at(copy, "4");
	/* The child has the same open file. */
	must(kill(child, SIGTERM));
	expect_success(child);
	expect_text_at(fd, "6");
	expect_text_at(high, "7");
	expect_text_at(reader, "8");
	expect(write(writer, "end", 3), 3);
	must(lseek(fd, 10, SEEK_SET));
	expect_text_at(fd, "end");
	expect_error(write(reader, "x", 1), EBADF);
	expect(lseek(large, 0, SEEK_CUR), 5000000003);
	struct stat opened, named;
	must(fstat(large, &opened));
	must(stat("/data/renamed", &named));
	expect(opened.st_ino, named.st_ino);
	must(fstat(fd, &opened));
	expect(opened.st_mode & 07777, 0640);
	/* Nothing else is open. */
	int open_files = 0;
	for (int number = 0; number < 2000; number++)
		open_files += fcntl(number, F_GETFD) >= 0;
	expect(open_files, 3 + 6);
	return pass();
}
