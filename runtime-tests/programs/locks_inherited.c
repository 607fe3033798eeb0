/* POSIX locks of a child on a file that it has inherited, beside its parent's. */
#include "program.h"

static struct flock range(short type, off_t start, off_t length)
{
	return (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length };
}

/* Who holds a lock on this byte, or 0. */
static pid_t holder(int fd, off_t at)
{
	struct flock lock = range(F_WRLCK, at, 1);
	must(fcntl(fd, F_GETLK, &lock));
	return lock.l_type == F_UNLCK ? 0 : lock.l_pid;
}

int main(void)
{
	volatile int *ready = share(sizeof(int));
	int fd = must(open("/data/locked", O_RDWR | O_CREAT, 0600));
	struct flock lock = range(F_WRLCK, 10, 10);
	must(fcntl(fd, F_SETLK, &lock));
	pid_t child = must(fork());
	if (child == 0) {
		lock = range(F_WRLCK, 30, 5);
		must(fcntl(fd, F_SETLK, &lock));
		raise_flag(ready);
		wait_for_sigterm();
		expect(holder(fd, 10), getppid());
		expect(holder(fd, 30), 0);
		_exit(0);
	}
	wait_for_flag(ready, 1);

	hold();

	expect(holder(fd, 34), child);
	expect(holder(fd, 35), 0);
	must(kill(child, SIGTERM));
	expect_success(child);
	expect(holder(fd, 34), 0);
	return pass();
}
