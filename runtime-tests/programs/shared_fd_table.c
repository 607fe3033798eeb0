/* Two processes with one table of descriptors, and a third with a copy of it. */
#include "program.h"
#include <sched.h>

static struct shared {
	volatile int ready, opened, closed;
	int fd;
} *shared;

/* As fork(), but for the table. */
static pid_t fork_with_files(void)
{
	return must(syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL));
}

int main(void)
{
	shared = share(sizeof *shared);
	int pipe_fds[2];
	must(pipe(pipe_fds));
	pid_t sharer = fork_with_files();
	if (sharer == 0) {
		raise_flag(&shared->ready);
		wait_for_sigterm();
		shared->fd = must(open("/proc/self/comm", O_RDONLY));
		must(close(pipe_fds[0]));
		raise_flag(&shared->opened);
		_exit(0);
	}
	pid_t copy = must(fork());
	if (copy == 0) {
		raise_flag(&shared->ready);
		wait_for_sigterm();
		expect_error(fcntl(shared->fd, F_GETFD), EBADF);
		must(fcntl(pipe_fds[0], F_GETFD));
		_exit(0);
	}
	wait_for_flag(&shared->ready, 2);

	hold();

	must(kill(sharer, SIGTERM));
	wait_for_flag(&shared->opened, 1);
	must(fcntl(shared->fd, F_GETFD));
	expect_error(fcntl(pipe_fds[0], F_GETFD), EBADF);
	expect_success(sharer);
	must(kill(copy, SIGTERM));
	expect_success(copy);
	return pass();
}
