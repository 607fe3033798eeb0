/* A timerfd with an absolute time: it expires when its clock says so, as the program sees that clock. */
#include "program.h"
#include <sys/timerfd.h>

int main(void)
{
	const clockid_t clocks[] = { CLOCK_MONOTONIC, CLOCK_BOOTTIME };
	long long ends[COUNT(clocks)];
	int fds[COUNT(clocks)];
	for (size_t at = 0; at < COUNT(clocks); at++) {
		fds[at] = must(timerfd_create(clocks[at], 0));
		ends[at] = now(clocks[at]) + 1500 * MILLISECOND;
		struct itimerspec time = { .it_value = to_timespec(ends[at]) };
		must(timerfd_settime(fds[at], TFD_TIMER_ABSTIME, &time, NULL));
	}
	long long start = now(CLOCK_REALTIME);

	hold();

	for (size_t at = 0; at < COUNT(clocks); at++) {
		uint64_t count;
		expect(must(read(fds[at], &count, sizeof count)), sizeof count);
		expect(count, 1);
		long long passed = now(CLOCK_REALTIME) - start;
		expect_between(now(clocks[at]) - ends[at], 0, passed);
	}
	return pass();
}
