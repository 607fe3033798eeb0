/* epoll_wait, which the kernel does not restart by itself, with a limit in time and without. */
#include "program.h"
#include <sys/epoll.h>

#define LIMIT (1500 * MILLISECOND)

static volatile int started;
static volatile pid_t ids[2];
static int silent_epoll, later_epoll;

static void *limited(void *argument)
{
	struct epoll_event event;
	ids[0] = gettid();
	long long start = now(CLOCK_REALTIME);
	raise_flag(&started);
	expect(must(epoll_wait(silent_epoll, &event, 1, LIMIT / MILLISECOND)), 0);
	expect_between(now(CLOCK_REALTIME) - start, LIMIT - 10 * MILLISECOND, LIMIT + SLACK);
	return argument;
}

static void *unlimited(void *argument)
{
	struct epoll_event event;
	ids[1] = gettid();
	raise_flag(&started);
	expect(must(epoll_wait(later_epoll, &event, 1, -1)), 1);
	expect(event.data.u64, 0x1234);
	return argument;
}

static int watch(int fd)
{
	int epoll = must(epoll_create1(0));
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = 0x1234 };
	must(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	return epoll;
}

int main(void)
{
	int silent[2], later[2];
	pthread_t threads[2];
	must(pipe(silent));
	must(pipe(later));
	silent_epoll = watch(silent[0]);
	later_epoll = watch(later[0]);
	must_zero(pthread_create(&threads[0], NULL, limited, NULL));
	must_zero(pthread_create(&threads[1], NULL, unlimited, NULL));
	wait_for_flag(&started, 2);
	wait_for_state(ids[0], 'S');
	wait_for_state(ids[1], 'S');

	hold();

	expect(write(later[1], "x", 1), 1);
	must_zero(pthread_join(threads[0], NULL));
	must_zero(pthread_join(threads[1], NULL));
	return pass();
}
