/* A thread in the middle of waiting for a child. */
#include "program.h"

static volatile pid_t waiter;
static pid_t child;

static void *wait_for_child(void *argument)
{
	siginfo_t info;
	waiter = gettid();
	must(waitid(P_PID, child, &info, WEXITED));
	expect(info.si_code, CLD_EXITED);
	expect(info.si_status, 9);
	expect(info.si_pid, child);
	return argument;
}

int main(void)
{
	pthread_t thread;
	child = must(fork());
	if (child == 0) {
		wait_for_sigterm();
		_exit(9);
	}
	must_zero(pthread_create(&thread, NULL, wait_for_child, NULL));
	while (waiter == 0)
		pause_ms(1);
	wait_for_state(waiter, 'S');

	hold();

	must(kill(child, SIGTERM));
	must_zero(pthread_join(thread, NULL));
	return pass();
}
