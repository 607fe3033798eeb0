/*
 * Timers that expire once, one after the other, all the time: each must send its signal, and only one. So it is waited for
 * by sigsuspend, by sigtimedwait, by a handler, in the first thread and in another.
 */
#include "program.h"
#include <sys/time.h>

#define sigev_notify_thread_id _sigev_un._tid
#define OWN (SIGRTMIN + 3)
#define PROCESS (SIGRTMIN + 4)

static volatile int stop;
static volatile int alarms;
static volatile int rounds[2];

static void count(int signal)
{
	(void)signal;
	alarms++;
}

/* Waits for the signal of a timer, which must not come twice. */
static void take(int signal, int round)
{
	sigset_t set;
	siginfo_t info;
	struct timespec limit = to_timespec(SLACK), none = { 0, 0 };
	sigemptyset(&set);
	sigaddset(&set, signal);
	int got;
	do
		got = sigtimedwait(&set, &info, &limit);
	while (got == -1 && errno == EINTR);
	if (got != signal)
		fail("timer of signal %d, round %d: %s", signal, round, strerror(errno));
	expect(info.si_code, SI_TIMER);
	expect(info.si_overrun, 0);
	expect_error(sigtimedwait(&set, &info, &none), EAGAIN);
}

static void *of_thread(void *argument)
{
	timer_t timer;
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = OWN };
	struct itimerspec time = { .it_value = to_timespec(MILLISECOND) };
	event.sigev_notify_thread_id = gettid();
	must(timer_create(CLOCK_MONOTONIC, &event, &timer));
	for (; !stop; rounds[0]++) {
		must(timer_settime(timer, 0, &time, NULL));
		take(OWN, rounds[0]);
	}
	return argument;
}

static void *of_process(void *argument)
{
	timer_t timer;
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = PROCESS };
	struct itimerspec time = { .it_value = to_timespec(3 * MILLISECOND / 2) };
	must(timer_create(CLOCK_REALTIME, &event, &timer));
	for (; !stop; rounds[1]++) {
		must(timer_settime(timer, 0, &time, NULL));
		take(PROCESS, rounds[1]);
	}
	return argument;
}

/* An alarm that does not come leaves it in sigsuspend for ever, and the harness without a result. */
static void *of_alarms(void *argument)
{
	struct itimerval time = { .it_value = { 0, 1000 } };
	sigset_t suspended;
	must_zero(pthread_sigmask(SIG_SETMASK, NULL, &suspended));
	sigdelset(&suspended, SIGALRM);
	while (!stop) {
		int before = alarms;
		must(setitimer(ITIMER_REAL, &time, NULL));
		while (alarms == before)
			expect_error(sigsuspend(&suspended), EINTR);
		expect(alarms, before + 1);
	}
	return argument;
}

int main(void)
{
	void *(*const all[])(void *) = { of_thread, of_process, of_alarms };
	pthread_t threads[COUNT(all)];
	struct sigaction action = { .sa_handler = count };
	sigset_t blocked;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGALRM);
	sigaddset(&blocked, OWN);
	sigaddset(&blocked, PROCESS);
	must_zero(pthread_sigmask(SIG_BLOCK, &blocked, NULL));
	must(sigaction(SIGALRM, &action, NULL));
	for (size_t nth = 0; nth < COUNT(all); nth++)
		must_zero(pthread_create(&threads[nth], NULL, all[nth], NULL));

	hold();

	int before[] = { rounds[0], rounds[1], alarms };
	for (int tries = 0; rounds[0] < before[0] + 3 || rounds[1] < before[1] + 3 || alarms < before[2] + 3; tries++) {
		if (tries > 20000)
			fail("rounds: %d, %d and %d, and no more", rounds[0], rounds[1], alarms);
		pause_ms(1);
	}
	stop = 1;
	for (size_t nth = 0; nth < COUNT(all); nth++)
		must_zero(pthread_join(threads[nth], NULL));
	return pass();
}
