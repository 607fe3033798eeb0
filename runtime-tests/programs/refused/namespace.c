/* A process with a namespace of its own. */
#include "../program.h"
#include <sched.h>

int main(void)
{
	volatile int *ready = share(sizeof(int));
	pid_t child = must(fork());
	if (child == 0) {
		must(unshare(CLONE_NEWIPC));
		raise_flag(ready);
		wait_for_sigterm();
		_exit(0);
	}
	wait_for_flag(ready, 1);

	hold();

	must(kill(child, SIGTERM));
	expect_success(child);
	return pass();
}
