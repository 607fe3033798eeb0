/* sigsuspend and pause: they go on waiting, and the mask of before comes back when a handler has run. */
#include "program.h"

static volatile int started, handled;
static volatile pid_t ids[2];

static void on_signal(int signal)
{
	(void)signal;
	raise_flag(&handled);
}

static void *suspended(void *argument)
{
	sigset_t mask, found;
	sigfillset(&mask);
	sigdelset(&mask, SIGUSR1);
	ids[0] = gettid();
	raise_flag(&started);
	expect_error(sigsuspend(&mask), EINTR);
	expect(handled > 0, true);
	must_zero(pthread_sigmask(SIG_SETMASK, NULL, &found));
	expect(sigismember(&found, SIGUSR1), 1);
	expect(sigismember(&found, SIGUSR2), 0);
	return argument;
}

static void *paused(void *argument)
{
	sigset_t none;
	sigemptyset(&none);
	must_zero(pthread_sigmask(SIG_SETMASK, &none, NULL));
	ids[1] = gettid();
	raise_flag(&started);
	expect_error(pause(), EINTR);
	expect(handled > 0, true);
	return argument;
}

int main(void)
{
	pthread_t threads[2];
	sigset_t mask;
	must(sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = on_signal, .sa_flags = SA_RESTART }, NULL));
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGUSR1);
	must_zero(pthread_sigmask(SIG_SETMASK, &mask, NULL));
	must_zero(pthread_create(&threads[0], NULL, suspended, NULL));
	must_zero(pthread_create(&threads[1], NULL, paused, NULL));
	wait_for_flag(&started, 2);
	wait_for_state(ids[0], 'S');
	wait_for_state(ids[1], 'S');

	hold();

	/* Nobody has woken by mistake. */
	pause_ms(20);
	wait_for_state(ids[0], 'S');
	wait_for_state(ids[1], 'S');
	for (int at = 0; at < 2; at++) {
		must_zero(pthread_kill(threads[at], SIGUSR1));
		must_zero(pthread_join(threads[at], NULL));
	}
	expect(handled, 2);
	return pass();
}
