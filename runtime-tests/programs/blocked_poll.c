/* poll and select in the middle, with a limit in time and without. */
#include "program.h"
#include <poll.h>
#include <sys/select.h>

#define LIMIT (1500 * MILLISECOND)

static volatile int started;
static volatile pid_t ids[6];
static int silent[2], later[2];

static void begin(int number)
{
	ids[number] = gettid();
	raise_flag(&started);
}

static void expect_waited(long long start)
{
	expect_between(now(CLOCK_REALTIME) - start, LIMIT - 10 * MILLISECOND, LIMIT + SLACK);
}

static void *poll_limited(void *argument)
{
	struct pollfd fd = { .fd = silent[0], .events = POLLIN };
	long long start = now(CLOCK_REALTIME);
	begin(0);
	expect(must(poll(&fd, 1, LIMIT / MILLISECOND)), 0);
	expect_waited(start);
	return argument;
}

/* Nothing in the code before the call says which one it is. */
static void *poll_by_number(void *argument)
{
	struct pollfd fd = { .fd = silent[0], .events = POLLIN };
	long long start = now(CLOCK_REALTIME);
	begin(5);
	expect(must(syscall(SYS_poll, &fd, 1, LIMIT / MILLISECOND)), 0);
	expect_waited(start);
	return argument;
}

static void *select_limited(void *argument)
{
	struct timeval limit = { LIMIT / SECOND, LIMIT % SECOND / 1000 };
	fd_set set;
	FD_ZERO(&set);
	FD_SET(silent[0], &set);
	long long start = now(CLOCK_REALTIME);
	begin(1);
	expect(must(select(silent[0] + 1, &set, NULL, NULL, &limit)), 0);
	expect_waited(start);
	return argument;
}

static void *ppoll_limited(void *argument)
{
	struct pollfd fd = { .fd = silent[0], .events = POLLIN };
	struct timespec limit = to_timespec(LIMIT);
	sigset_t mask, found;
	sigfillset(&mask);
	sigdelset(&mask, SIGUSR1);
	long long start = now(CLOCK_REALTIME);
	begin(2);
	expect(must(ppoll(&fd, 1, &limit, &mask)), 0);
	expect_waited(start);
	/* The mask was for the call only. */
	must_zero(pthread_sigmask(SIG_SETMASK, NULL, &found));
	expect(sigismember(&found, SIGUSR2), 0);
	expect(sigismember(&found, SIGTERM), 1);
	return argument;
}

static void *poll_unlimited(void *argument)
{
	struct pollfd fd = { .fd = later[0], .events = POLLIN };
	begin(3);
	expect(must(poll(&fd, 1, -1)), 1);
	expect(fd.revents, POLLIN);
	return argument;
}

static void *select_unlimited(void *argument)
{
	fd_set set;
	FD_ZERO(&set);
	FD_SET(later[0], &set);
	begin(4);
	expect(must(select(later[0] + 1, &set, NULL, NULL, NULL)), 1);
	expect(FD_ISSET(later[0], &set) != 0, true);
	return argument;
}

int main(void)
{
	void *(*const functions[])(void *) = { poll_limited, select_limited, ppoll_limited, poll_unlimited,
					       select_unlimited, poll_by_number };
	pthread_t threads[COUNT(functions)];
	must(pipe(silent));
	must(pipe(later));
	for (size_t at = 0; at < COUNT(functions); at++)
		must_zero(pthread_create(&threads[at], NULL, functions[at], NULL));
	wait_for_flag(&started, COUNT(functions));
	for (size_t at = 0; at < COUNT(functions); at++)
		wait_for_state(ids[at], 'S');

	hold();

	expect(write(later[1], "x", 1), 1);
	for (size_t at = 0; at < COUNT(functions); at++)
		must_zero(pthread_join(threads[at], NULL));
	return pass();
}
