/* Two processes with one address space. */
#include "../program.h"
#include <sched.h>

static volatile int ready;

static int child_main(void *argument)
{
	(void)argument;
	ready = 1;
	wait_for_sigterm();
	_exit(0);
}

int main(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	pid_t child = must(clone(child_main, stack + sizeof stack, CLONE_VM | SIGCHLD, NULL));
	while (!ready)
		pause_ms(1);

	hold();

	must(kill(child, SIGTERM));
	expect_success(child);
	return pass();
}
