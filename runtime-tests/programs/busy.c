/*
 * Four processes with five threads each that never rest: registers in loops, pipes between the processes, a timer, and
 * sleeps and waits that must neither end early nor with EINTR. They check all of it all the time.
 */
#include "program.h"
#include <linux/futex.h>
#include <poll.h>

#define PROCESSES 4

static volatile int *stop;
static int pipes[PROCESSES][2];

static void *compute(void *argument)
{
	uint64_t seed = (uintptr_t)argument;
	while (!*stop) {
		uint64_t a = seed, b = ~seed, c = seed * 3, d = seed * 5, count = 3000000;
		/* Nothing but registers, general and vector ones. */
		__asm__ volatile("movq %0, %%xmm3\n\tmovq %1, %%xmm13\n"
				 "1:\n\tdec %4\n\tjnz 1b\n\t"
				 "movq %%xmm3, %0\n\tmovq %%xmm13, %1"
				 : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(count)
				 :
				 : "xmm3", "xmm13", "cc");
		if (a != seed || b != ~seed || c != seed * 3 || d != seed * 5)
			fail("registers: %#lx %#lx %#lx %#lx of %#lx", a, b, c, d, seed);
		/* To threads that never wait, 6.18 gives a processor for minutes now and then, and nothing to its own threads:
		 * b3d99f43c72b ("sched/fair: Fix zero_vruntime tracking") and what came before it. */
		struct timespec moment = to_timespec(MILLISECOND / 4);
		syscall(SYS_nanosleep, &moment, NULL);
	}
	return NULL;
}

static void *sleep_again(void *argument)
{
	(void)argument;
	while (!*stop) {
		struct timespec time = to_timespec(30 * MILLISECOND);
		long long start = now(CLOCK_MONOTONIC);
		must(syscall(SYS_nanosleep, &time, NULL));
		if (now(CLOCK_MONOTONIC) - start < 30 * MILLISECOND)
			fail("nanosleep: %lld ns", now(CLOCK_MONOTONIC) - start);
		start = now(CLOCK_MONOTONIC);
		expect(poll(NULL, 0, 30), 0);
		if (now(CLOCK_MONOTONIC) - start < 30 * MILLISECOND)
			fail("poll: %lld ns", now(CLOCK_MONOTONIC) - start);
	}
	return NULL;
}

static void *wait_again(void *argument)
{
	static int word = 7;
	(void)argument;
	while (!*stop) {
		struct timespec time = to_timespec(30 * MILLISECOND);
		expect_error(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 7, &time), ETIMEDOUT);
	}
	return NULL;
}

/* A timer whose signal this thread takes. */
static void *take_signals(void *argument)
{
	sigset_t set;
	siginfo_t info;
	timer_t timer;
	int number = SIGRTMIN + (int)(intptr_t)argument;
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = number };
	struct itimerspec times = { to_timespec(5 * MILLISECOND), to_timespec(5 * MILLISECOND) };
	event._sigev_un._tid = gettid();
	sigemptyset(&set);
	sigaddset(&set, number);
	must(timer_create(CLOCK_MONOTONIC, &event, &timer));
	must(timer_settime(timer, 0, &times, NULL));
	while (!*stop) {
		struct timespec limit = to_timespec(SLACK);
		int got = sigtimedwait(&set, &info, &limit);
		/* signal(7): being frozen is enough to end it, which a dumper that dies in that moment cannot mend. */
		if (got == -1 && errno == EINTR)
			continue;
		expect(must(got), number);
		expect(info.si_code, SI_TIMER);
	}
	must(timer_delete(timer));
	return NULL;
}

/* Numbers go round through all processes, each adds one. */
static void pass_on(int process)
{
	uint64_t number, expected = process;
	if (process == 0) {
		number = 1;
		expect(write(pipes[1][1], &number, sizeof number), sizeof number);
		expected = PROCESSES;
	}
	for (;;) {
		long got = read(pipes[process][0], &number, sizeof number);
		if (got == 0)
			break;
		expect(got, sizeof number);
		expect(number, expected);
		expected += PROCESSES;
		number++;
		if (process == 0 && *stop)
			break;
		expect(write(pipes[(process + 1) % PROCESSES][1], &number, sizeof number), sizeof number);
	}
}

static void *pass_on_thread(void *argument)
{
	pass_on((int)(intptr_t)argument);
	return NULL;
}

static void work(int process)
{
	pthread_t threads[5];
	for (int other = 0; other < PROCESSES; other++) {
		if (other != process)
			must(close(pipes[other][0]));
		if (other != (process + 1) % PROCESSES)
			must(close(pipes[other][1]));
	}
	must_zero(pthread_create(&threads[0], NULL, compute, (void *)(uintptr_t)(0x1111 * (process + 1))));
	must_zero(pthread_create(&threads[1], NULL, sleep_again, NULL));
	must_zero(pthread_create(&threads[2], NULL, wait_again, NULL));
	must_zero(pthread_create(&threads[3], NULL, take_signals, (void *)(intptr_t)process));
	must_zero(pthread_create(&threads[4], NULL, pass_on_thread, (void *)(intptr_t)process));
	if (process == 0) {
		hold();
		*stop = 1;
	}
	for (int at = 0; at < 5; at++) {
		/* The next one in the round reads the end of the pipe when this one's is closed. */
		must_zero(pthread_join(threads[at], NULL));
	}
	must(close(pipes[(process + 1) % PROCESSES][1]));
}

int main(void)
{
	pid_t children[PROCESSES];
	sigset_t set;
	sigemptyset(&set);
	for (int process = 0; process < PROCESSES; process++) {
		sigaddset(&set, SIGRTMIN + process);
		must(pipe(pipes[process]));
	}
	must(sigprocmask(SIG_BLOCK, &set, NULL));
	stop = must_map(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	for (int process = 1; process < PROCESSES; process++) {
		children[process] = must(fork());
		if (children[process] == 0) {
			work(process);
			_exit(0);
		}
	}
	work(0);
	for (int process = 1; process < PROCESSES; process++) {
		int status;
		must(waitpid(children[process], &status, 0));
		expect(status, 0);
	}
	return pass();
}
