/* pidfds of oneself, of a child, and of a child that has ended and is waited for. */
#include "program.h"
#include <poll.h>
#include <sys/pidfd.h>

int main(void)
{
	siginfo_t info;
	pid_t child = must(fork());
	if (child == 0) {
		wait_for_sigterm();
		_exit(3);
	}
	pid_t ended = must(fork());
	if (ended == 0)
		_exit(0);
	int own = must(pidfd_open(getpid(), 0));
	int of_child = must(pidfd_open(child, 0));
	int of_ended = must(pidfd_open(ended, 0));
	expect_success(ended);

	hold();

	expect(fcntl(of_child, F_GETFD), FD_CLOEXEC);
	struct pollfd fd = { .fd = of_child, .events = POLLIN };
	expect(must(poll(&fd, 1, 0)), 0);
	must(pidfd_send_signal(own, 0, NULL, 0));
	must(pidfd_send_signal(of_child, SIGTERM, NULL, 0));
	expect(must(poll(&fd, 1, SLACK / MILLISECOND)), 1);
	must(waitid(P_PIDFD, of_child, &info, WEXITED));
	expect(info.si_pid, child);
	expect(info.si_status, 3);
	expect_error(pidfd_send_signal(of_ended, 0, NULL, 0), ESRCH);
	return pass();
}
