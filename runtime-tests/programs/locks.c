/* File locks: flock shared by a child, POSIX locks, OFD locks, each still held and still released. */
#include "program.h"
#include <sys/file.h>

static struct flock range(short type, off_t start, off_t length)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length };
}

/* Whether somebody else could lock these bytes. */
static bool is_free(int fd, off_t start, off_t length, int command, pid_t owner)
{
	struct flock lock = range(F_WRLCK, start, length);
	must(fcntl(fd, command, &lock));
	if (lock.l_type == F_UNLCK)
		return true;
	expect(lock.l_pid, owner);
	return false;
}

int main(void)
{
	volatile int *ready = share(sizeof(int));
	int fd = must(open("/data/locked", O_RDWR | O_CREAT, 0600));
	int flocked = must(open("/data/flocked", O_RDWR | O_CREAT, 0600));
	int of_file = must(open("/data/ofd", O_RDWR | O_CREAT, 0600));
	struct flock lock = range(F_WRLCK, 10, 10);
	must(flock(flocked, LOCK_EX));
	must(fcntl(fd, F_SETLK, &lock));
	lock = range(F_WRLCK, 100, 0);
	must(fcntl(of_file, F_OFD_SETLK, &lock));
	lock = range(F_RDLCK, 0, 50);
	must(fcntl(of_file, F_OFD_SETLK, &lock));
	pid_t child = must(fork());
	if (child == 0) {
		/* Inherits the flock, not the POSIX lock. */
		raise_flag(ready);
		wait_for_sigterm();
		expect(is_free(fd, 10, 10, F_GETLK, getppid()), false);
		expect(is_free(fd, 0, 10, F_GETLK, 0), true);
		must(flock(flocked, LOCK_EX | LOCK_NB));
		_exit(0);
	}
	wait_for_flag(ready, 1);

	hold();

	int other = must(open("/data/flocked", O_RDWR));
	expect_error(flock(other, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	int other_of_file = must(open("/data/ofd", O_RDWR));
	expect(is_free(other_of_file, 1000, 1, F_OFD_GETLK, -1), false);
	expect(is_free(other_of_file, 0, 1, F_OFD_GETLK, -1), false);
	expect(is_free(other_of_file, 60, 10, F_OFD_GETLK, -1), true);
	must(kill(child, SIGTERM));
	expect_success(child);
	close(of_file);
	expect(is_free(other_of_file, 1000, 1, F_OFD_GETLK, -1), true);
	must(flock(flocked, LOCK_UN));
	must(flock(other, LOCK_EX | LOCK_NB));
	return pass();
}
