/* A pending SIGCONT and a pending SIGTSTP of two tasks: sending either drops the other, and wakes tracers. */
#include "program.h"

static void queue(int signal)
{
	sigset_t set;
	sigfillset(&set);
	must(sigprocmask(SIG_BLOCK, &set, NULL));
	must(kill(getpid(), SIGUSR1));
	must(kill(getpid(), signal));
	must(kill(getpid(), SIGUSR2));
}

static void expect_queued(int expected)
{
	sigset_t pending;
	must(sigpending(&pending));
	for (int signal = 1; signal <= SIGRTMAX; signal++) {
		bool there = signal == SIGUSR1 || signal == SIGUSR2 || signal == expected;
		if (sigismember(&pending, signal) != there)
			fail("signal %d pending: expected %d, found %d", signal, there, sigismember(&pending, signal));
	}
}

int main(void)
{
	volatile int *ready = share(sizeof(int));
	pid_t child = must(fork());
	if (child == 0) {
		queue(SIGTSTP);
		raise_flag(ready);
		wait_for_sigterm();
		expect_queued(SIGTSTP);
		_exit(0);
	}
	queue(SIGCONT);
	wait_for_flag(ready, 1);

	hold();

	expect_queued(SIGCONT);
	must(kill(child, SIGTERM));
	expect_success(child);
	return pass();
}
