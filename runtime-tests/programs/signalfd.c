/* signalfd: its mask, and a signal that was pending. */
#include "program.h"
#include <sys/signalfd.h>

int main(void)
{
	sigset_t set;
	struct signalfd_siginfo info;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN + 4);
	must(sigprocmask(SIG_BLOCK, &set, NULL));
	int fd = must(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
	must(sigqueue(getpid(), SIGRTMIN + 4, (union sigval){ .sival_int = 44 }));

	hold();

	expect(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
	expect(fcntl(fd, F_GETFD), FD_CLOEXEC);
	expect(read(fd, &info, sizeof info), sizeof info);
	expect(info.ssi_signo, SIGRTMIN + 4);
	expect(info.ssi_int, 44);
	expect_error(read(fd, &info, sizeof info), EAGAIN);
	must(kill(getpid(), SIGUSR1));
	expect(read(fd, &info, sizeof info), sizeof info);
	expect(info.ssi_signo, SIGUSR1);
	return pass();
}
