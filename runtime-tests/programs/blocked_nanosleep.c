/* Sleeps in the middle: each ends with success, and neither early nor late. */
#include "program.h"

#define LIMIT (1500 * MILLISECOND)

static volatile int started;
static volatile pid_t ids[5];

static long long begin(int number)
{
	ids[number] = gettid();
	long long start = now(CLOCK_REALTIME);
	raise_flag(&started);
	return start;
}

static void expect_slept(long long start)
{
	expect_between(now(CLOCK_REALTIME) - start, LIMIT - 10 * MILLISECOND, LIMIT + SLACK);
}

static void *relative(void *argument)
{
	struct timespec time = to_timespec(LIMIT);
	long long start = begin(0);
	must(nanosleep(&time, NULL));
	expect_slept(start);
	return argument;
}

static void *of_boot_time(void *argument)
{
	struct timespec time = to_timespec(LIMIT), rest;
	long long start = begin(1);
	must_zero(clock_nanosleep(CLOCK_BOOTTIME, 0, &time, &rest));
	expect_slept(start);
	return argument;
}

static void *absolute(void *argument)
{
	long long end = now(CLOCK_MONOTONIC) + LIMIT;
	struct timespec time = to_timespec(end);
	long long start = begin(2);
	must_zero(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL));
	expect_between(now(CLOCK_MONOTONIC) - end, 0, SLACK);
	expect_slept(start);
	return argument;
}

/* Nothing in the code before the call says which one it is, as in glibc since 2.41. */
static void *by_number(void *argument)
{
	struct timespec time = to_timespec(LIMIT);
	long long start = begin(3);
	must_zero(syscall(SYS_clock_nanosleep, CLOCK_REALTIME, 0, &time, &time));
	expect_slept(start);
	return argument;
}

static void *old_by_number(void *argument)
{
	struct timespec time = to_timespec(LIMIT);
	long long start = begin(4);
	must_zero(syscall(SYS_nanosleep, &time, &time));
	expect_slept(start);
	return argument;
}

int main(void)
{
	void *(*const functions[])(void *) = { relative, of_boot_time, absolute, by_number, old_by_number };
	pthread_t threads[COUNT(functions)];
	for (size_t at = 0; at < COUNT(functions); at++)
		must_zero(pthread_create(&threads[at], NULL, functions[at], NULL));
	wait_for_flag(&started, COUNT(functions));
	for (size_t at = 0; at < COUNT(functions); at++)
		wait_for_state(ids[at], 'S');

	hold();

	for (size_t at = 0; at < COUNT(functions); at++)
		must_zero(pthread_join(threads[at], NULL));
	return pass();
}
