/* The clocks: none goes back, none goes faster than the world, and the vdso and the system call agree. */
#include "program.h"

static long long by_system_call(clockid_t clock)
{
	struct timespec time;
	must(syscall(SYS_clock_gettime, clock, &time));
	return time.tv_sec * SECOND + time.tv_nsec;
}

int main(void)
{
	const clockid_t clocks[] = { CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_MONOTONIC_RAW, CLOCK_MONOTONIC_COARSE };
	long long before[COUNT(clocks)];
	long long start = now(CLOCK_REALTIME);
	for (size_t at = 0; at < COUNT(clocks); at++)
		before[at] = now(clocks[at]);

	hold();

	long long passed = now(CLOCK_REALTIME) - start;
	for (size_t at = 0; at < COUNT(clocks); at++) {
		expect_between(now(clocks[at]) - before[at], 0, passed + 100 * MILLISECOND);
		/* Between two looks at one clock is the other. */
		long long first = now(clocks[at]), middle = by_system_call(clocks[at]), last = now(clocks[at]);
		expect_between(middle, first, last);
	}
	/* Processor time is not the world's: it starts anew or goes on. */
	expect_between(now(CLOCK_PROCESS_CPUTIME_ID), 1, passed + SECOND);
	time_t seconds = time(NULL);
	expect_between(now(CLOCK_REALTIME) / SECOND - seconds, 0, 1);
	return pass();
}
