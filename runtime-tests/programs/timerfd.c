/* timerfd: one that has expired and was not read, one that will, one without a time. */
#include "program.h"
#include <sys/timerfd.h>

static int create(clockid_t clock, int flags, long long value, long long period)
{
	int fd = must(timerfd_create(clock, flags));
	struct itimerspec time = { .it_value = to_timespec(value), .it_interval = to_timespec(period) };
	must(timerfd_settime(fd, 0, &time, NULL));
	return fd;
}

static long long remaining(int fd)
{
	struct itimerspec time;
	must(timerfd_gettime(fd, &time));
	return time.it_value.tv_sec * SECOND + time.it_value.tv_nsec;
}

static uint64_t ticks(int fd)
{
	uint64_t count;
	expect(must(read(fd, &count, sizeof count)), sizeof count);
	return count;
}

int main(void)
{
	int expired = create(CLOCK_MONOTONIC, 0, 10 * MILLISECOND, 0);
	int later = create(CLOCK_BOOTTIME, TFD_CLOEXEC, 1000 * SECOND, 0);
	int soon = create(CLOCK_MONOTONIC, 0, 400 * MILLISECOND, 0);
	int idle = must(timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK));
	long long start = now(CLOCK_REALTIME);
	pause_ms(20);

	hold();

	long long passed = now(CLOCK_REALTIME) - start;
	expect(ticks(expired), 1);
	expect(remaining(expired), 0);
	expect_between(remaining(later), 1000 * SECOND - passed - SECOND, 1000 * SECOND);
	expect(fcntl(later, F_GETFD), FD_CLOEXEC);
	expect(remaining(idle), 0);
	uint64_t none;
	expect_error(read(idle, &none, sizeof none), EAGAIN);
	expect(ticks(soon), 1);
	return pass();
}
