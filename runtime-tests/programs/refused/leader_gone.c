/* A process whose first thread has ended before the others. */
#include "../program.h"

static void *survivor(void *argument)
{
	wait_for_sigterm();
	_exit(0);
	return argument;
}

int main(void)
{
	pthread_t thread;
	pid_t child = must(fork());
	if (child == 0) {
		must_zero(pthread_create(&thread, NULL, survivor, NULL));
		pthread_exit(NULL);
	}
	wait_for_state(child, 'Z');

	hold();

	must(kill(child, SIGTERM));
	expect_success(child);
	return pass();
}
