/* A periodic POSIX timer whose signal stays pending: what it has missed is told with the signal. */
#include "program.h"

int main(void)
{
	sigset_t set;
	siginfo_t info;
	timer_t timer;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 4);
	must_zero(pthread_sigmask(SIG_BLOCK, &set, NULL));
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 4 };
	must(timer_create(CLOCK_MONOTONIC, &event, &timer));
	struct itimerspec time = { to_timespec(10 * MILLISECOND), to_timespec(10 * MILLISECOND) };
	must(timer_settime(timer, 0, &time, NULL));
	pause_ms(105);

	hold();

	/* Ten had expired when the program began to hold: one is the signal, the others overruns. */
	struct timespec limit = to_timespec(SLACK);
	expect(must(sigtimedwait(&set, &info, &limit)), SIGRTMIN + 4);
	expect_between(info.si_overrun, 9, 1000000);
	expect(timer_getoverrun(timer), info.si_overrun);
	return pass();
}
