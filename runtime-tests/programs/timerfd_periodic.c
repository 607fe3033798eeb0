/* A periodic timerfd: expirations that were not read are counted, and more come. */
#include "program.h"
#include <poll.h>
#include <sys/timerfd.h>

static uint64_t ticks(int fd)
{
	uint64_t count;
	expect(must(read(fd, &count, sizeof count)), sizeof count);
	return count;
}

int main(void)
{
	int fd = must(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	struct itimerspec time = { to_timespec(20 * MILLISECOND), to_timespec(20 * MILLISECOND) };
	must(timerfd_settime(fd, 0, &time, NULL));
	pause_ms(130);

	hold();

	expect_between(ticks(fd), 6, 1000000);
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	expect(must(poll(&ready, 1, SLACK / MILLISECOND)), 1);
	expect_between(ticks(fd), 1, 1000);
	must(timerfd_gettime(fd, &time));
	expect(time.it_interval.tv_nsec, 20 * MILLISECOND);
	return pass();
}
