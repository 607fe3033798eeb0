/* Twenty threads, each with its own id, name, mask, alternate stack, local storage and stack content. */
#include "program.h"

#define THREADS 20

static _Thread_local uint64_t local = 1;
static pthread_barrier_t ready, go_on;

static void *thread(void *argument)
{
	int number = (int)(intptr_t)argument;
	char name[16], found[16], content[1000];
	static char stacks[THREADS][16384];
	stack_t alternate = { .ss_sp = stacks[number], .ss_size = sizeof stacks[number] }, now_alternate;
	sigset_t mask, now_mask;
	pid_t tid = gettid();

	local = 0x1000 + number;
	snprintf(name, sizeof name, "thread %d", number);
	must_zero(pthread_setname_np(pthread_self(), name));
	must_zero(pthread_sigmask(SIG_SETMASK, NULL, &mask));
	sigaddset(&mask, SIGRTMIN + number);
	must_zero(pthread_sigmask(SIG_SETMASK, &mask, NULL));
	must(sigaltstack(&alternate, NULL));
	fill(content, sizeof content, number);
	pthread_barrier_wait(&ready);
	pthread_barrier_wait(&go_on);

	expect(gettid(), tid);
	expect(local, 0x1000 + number);
	must_zero(pthread_getname_np(pthread_self(), found, sizeof found));
	expect_text(found, name);
	must_zero(pthread_sigmask(SIG_SETMASK, NULL, &now_mask));
	for (int signal = 1; signal <= SIGRTMAX; signal++)
		if (sigismember(&now_mask, signal) != sigismember(&mask, signal))
			fail("thread %d: signal %d in the mask: expected %d, found %d", number, signal,
			     sigismember(&mask, signal), sigismember(&now_mask, signal));
	must(sigaltstack(NULL, &now_alternate));
	expect(now_alternate.ss_sp, alternate.ss_sp);
	expect(now_alternate.ss_size, alternate.ss_size);
	expect(now_alternate.ss_flags, 0);
	expect_filled(content, sizeof content, number);
	return (void *)(intptr_t)(number + 1);
}

int main(void)
{
	pthread_t threads[THREADS];
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	must_zero(pthread_barrier_init(&ready, NULL, THREADS + 1));
	must_zero(pthread_barrier_init(&go_on, NULL, THREADS + 1));
	for (int number = 0; number < THREADS; number++)
		must_zero(pthread_create(&threads[number], NULL, thread, (void *)(intptr_t)number));
	pthread_barrier_wait(&ready);
	must_zero(pthread_mutex_lock(&mutex));

	hold();

	expect(pthread_mutex_trylock(&mutex), EBUSY);
	must_zero(pthread_mutex_unlock(&mutex));
	pthread_barrier_wait(&go_on);
	for (int number = 0; number < THREADS; number++) {
		void *result;
		/* Ends by the kernel's write to the tid address. */
		must_zero(pthread_join(threads[number], &result));
		expect((intptr_t)result, number + 1);
	}
	return pass();
}
