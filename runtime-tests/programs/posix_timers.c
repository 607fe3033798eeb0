/* POSIX timers: ids with gaps, all ways to notify, one-shot and periodic, disarmed. */
#include "program.h"

#define sigev_notify_thread_id _sigev_un._tid

typedef int kernel_timer;

static volatile int ready, go_on, received;
static volatile pid_t thread_id;

static kernel_timer create(clockid_t clock, int notify, int signal, long value, pid_t thread)
{
	struct sigevent event = { .sigev_notify = notify, .sigev_signo = signal, .sigev_value.sival_ptr = (void *)value };
	kernel_timer timer;
	if (notify == SIGEV_THREAD_ID)
		event.sigev_notify_thread_id = thread;
	must(syscall(SYS_timer_create, clock, &event, &timer));
	return timer;
}

static void set(kernel_timer timer, long long value, long long period)
{
	struct itimerspec time = { .it_value = to_timespec(value), .it_interval = to_timespec(period) };
	must(syscall(SYS_timer_settime, timer, 0, &time, NULL));
}

static long long remaining(kernel_timer timer, long long *period)
{
	struct itimerspec time;
	must(syscall(SYS_timer_gettime, timer, &time));
	if (period)
		*period = time.it_interval.tv_sec * SECOND + time.it_interval.tv_nsec;
	return time.it_value.tv_sec * SECOND + time.it_value.tv_nsec;
}

static void *thread(void *argument)
{
	sigset_t own;
	siginfo_t info;
	(void)argument;
	thread_id = gettid();
	raise_flag(&ready);
	wait_for_flag(&go_on, 1);
	sigemptyset(&own);
	sigaddset(&own, SIGRTMIN + 5);
	struct timespec limit = to_timespec(SLACK);
	expect(must(sigtimedwait(&own, &info, &limit)), SIGRTMIN + 5);
	expect(info.si_code, SI_TIMER);
	expect((long)info.si_value.sival_ptr, 0x5555);
	return NULL;
}

int main(void)
{
	sigset_t blocked;
	pthread_t id;
	siginfo_t info;
	long long period;
	sigfillset(&blocked);
	must_zero(pthread_sigmask(SIG_BLOCK, &blocked, NULL));
	must_zero(pthread_create(&id, NULL, thread, NULL));
	wait_for_flag(&ready, 1);

	kernel_timer gap[40];
	for (size_t at = 0; at < COUNT(gap); at++)
		gap[at] = create(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0, 0);
	kernel_timer once = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 3, 0x3333, 0);
	kernel_timer periodic = create(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 4, 0x4444, 0);
	kernel_timer of_thread = create(CLOCK_MONOTONIC, SIGEV_THREAD_ID, SIGRTMIN + 5, 0x5555, thread_id);
	kernel_timer silent = create(CLOCK_BOOTTIME, SIGEV_NONE, 0, 0, 0);
	kernel_timer disarmed = create(CLOCK_REALTIME, SIGEV_SIGNAL, SIGUSR1, 0x6666, 0);
	for (size_t at = 0; at < COUNT(gap); at++)
		must(syscall(SYS_timer_delete, gap[at]));
	set(once, 1000 * SECOND, 0);
	set(periodic, 10 * MILLISECOND, 10 * MILLISECOND);
	set(of_thread, 300 * MILLISECOND, 0);
	set(silent, 2000 * SECOND, 3 * SECOND);
	long long start = now(CLOCK_REALTIME);
	/* Its signal is pending from here on. */
	pause_ms(50);

	hold();

	long long passed = now(CLOCK_REALTIME) - start;
	expect_between(remaining(once, &period), 1000 * SECOND - passed - SECOND, 1000 * SECOND);
	expect(period, 0);
	expect_between(remaining(silent, &period), 2000 * SECOND - passed - SECOND, 2000 * SECOND);
	expect(period, 3 * SECOND);
	expect(remaining(disarmed, &period), 0);
	expect_between(remaining(periodic, &period), 0, 10 * MILLISECOND);
	expect(period, 10 * MILLISECOND);
	struct timespec limit = to_timespec(SLACK);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGRTMIN + 4);
	for (int round = 0; round < 3; round++) {
		expect(must(sigtimedwait(&blocked, &info, &limit)), SIGRTMIN + 4);
		expect(info.si_code, SI_TIMER);
		expect((long)info.si_value.sival_ptr, 0x4444);
	}
	raise_flag(&go_on);
	must_zero(pthread_join(id, NULL));
	/* Ids are the same: each is there to be deleted, nothing else is. */
	const kernel_timer all[] = { once, periodic, of_thread, silent, disarmed };
	for (size_t at = 0; at < COUNT(all); at++)
		must(syscall(SYS_timer_delete, all[at]));
	for (kernel_timer timer = 0; timer < 100; timer++)
		expect_error(syscall(SYS_timer_delete, timer), EINVAL);
	/* A new one gets a number of the kernel's choice, whatever the variable has. */
	struct sigevent none = { .sigev_notify = SIGEV_NONE };
	kernel_timer next = 1234567;
	must(syscall(SYS_timer_create, CLOCK_MONOTONIC, &none, &next));
	expect(next == 1234567, false);
	return pass();
}
