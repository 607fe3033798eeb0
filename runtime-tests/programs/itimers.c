/* The three interval timers: a long one goes on with what remains, a periodic one still fires at its interval. */
#include "program.h"
#include <sys/time.h>

static struct itimerval interval(long long value, long long period)
{
	return (struct itimerval){ .it_value = { value / SECOND, value % SECOND / 1000 },
				   .it_interval = { period / SECOND, period % SECOND / 1000 } };
}

static long long value_of(int which)
{
	struct itimerval timer;
	must(getitimer(which, &timer));
	return timer.it_value.tv_sec * SECOND + timer.it_value.tv_usec * 1000LL;
}

static volatile sig_atomic_t virtual_fired;

static void on_virtual(int signal)
{
	(void)signal;
	virtual_fired = 1;
}

int main(void)
{
	struct itimerval timer = interval(1000 * SECOND, 7 * SECOND);
	must(setitimer(ITIMER_REAL, &timer, NULL));
	timer = interval(2000 * SECOND, 0);
	must(setitimer(ITIMER_PROF, &timer, NULL));
	must(sigaction(SIGVTALRM, &(struct sigaction){ .sa_handler = on_virtual }, NULL));
	timer = interval(200 * MILLISECOND, 0);
	must(setitimer(ITIMER_VIRTUAL, &timer, NULL));
	long long start = now(CLOCK_REALTIME);

	hold();

	long long passed = now(CLOCK_REALTIME) - start;
	expect_between(value_of(ITIMER_REAL), 1000 * SECOND - passed - SECOND, 1000 * SECOND);
	must(getitimer(ITIMER_REAL, &timer));
	expect(timer.it_interval.tv_sec, 7);
	/* The kernel adds a tick whenever one of these is set. */
	expect_between(value_of(ITIMER_PROF), 1999 * SECOND, 2000 * SECOND + 100 * MILLISECOND);
	/* Little of its time has been used. */
	expect_between(value_of(ITIMER_VIRTUAL), 1, 200 * MILLISECOND + 100 * MILLISECOND);
	/* Only time in user mode counts, so no system calls here. */
	for (long turns = 0; !virtual_fired; turns++)
		if (turns == 20000000000)
			fail("ITIMER_VIRTUAL has not fired in seconds of processor time");
	return pass();
}
