/* System calls that are signals to the thread itself. */
#include "../program.h"
#include <sys/prctl.h>

#define DISPATCH 59
#define BLOCK 1

static volatile char selector;
static volatile int caught;

static void on_call(int signal)
{
	selector = 0;
	caught = signal;
}

int main(void)
{
	struct sigaction action = {.sa_handler = on_call};
	must(sigaction(SIGSYS, &action, NULL));
	must(prctl(DISPATCH, 1, 0, 0, &selector));

	hold();

	selector = BLOCK;
	syscall(SYS_getpid);
	expect(caught, SIGSYS);
	return pass();
}
