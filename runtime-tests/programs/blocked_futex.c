/* Futexes that are waited for: with a relative and with an absolute limit, and until somebody wakes. */
#include "program.h"
#include <linux/futex.h>

#define LIMIT (1500 * MILLISECOND)

static volatile int started;
static volatile pid_t ids[3];
static uint32_t word = 5, woken = 5;

static void *relative(void *argument)
{
	struct timespec limit = to_timespec(LIMIT);
	ids[0] = gettid();
	long long start = now(CLOCK_REALTIME);
	raise_flag(&started);
	expect_error(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 5, &limit, NULL, 0), ETIMEDOUT);
	expect_between(now(CLOCK_REALTIME) - start, LIMIT - 10 * MILLISECOND, LIMIT + SLACK);
	return argument;
}

static void *absolute(void *argument)
{
	long long end = now(CLOCK_MONOTONIC) + LIMIT;
	struct timespec limit = to_timespec(end);
	ids[1] = gettid();
	raise_flag(&started);
	expect_error(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, 5, &limit, NULL, ~0U), ETIMEDOUT);
	expect_between(now(CLOCK_MONOTONIC) - end, 0, SLACK);
	return argument;
}

static void *unlimited(void *argument)
{
	ids[2] = gettid();
	raise_flag(&started);
	expect(must(syscall(SYS_futex, &woken, FUTEX_WAIT_PRIVATE, 5, NULL, NULL, 0)), 0);
	return argument;
}

int main(void)
{
	void *(*const functions[])(void *) = { relative, absolute, unlimited };
	pthread_t threads[COUNT(functions)];
	for (size_t at = 0; at < COUNT(functions); at++)
		must_zero(pthread_create(&threads[at], NULL, functions[at], NULL));
	wait_for_flag(&started, COUNT(functions));
	for (size_t at = 0; at < COUNT(functions); at++)
		wait_for_state(ids[at], 'S');

	hold();

	/* A task that was just let go may not yet be waiting again. */
	for (int tries = 0; syscall(SYS_futex, &woken, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) != 1; tries++) {
		if (tries > 1000)
			fail("nobody waits for the futex");
		pause_ms(1);
	}
	for (size_t at = 0; at < COUNT(functions); at++)
		must_zero(pthread_join(threads[at], NULL));
	return pass();
}
