/* no_new_privs of one task and not of the other: once set, it stays. */
#include "program.h"
#include <sys/prctl.h>

int main(void)
{
	volatile int *ready = share(sizeof(int));
	expect(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
	pid_t child = must(fork());
	if (child == 0) {
		must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
		raise_flag(ready);
		wait_for_sigterm();
		expect(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
		_exit(0);
	}
	wait_for_flag(ready, 1);

	hold();

	expect(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
	must(kill(child, SIGTERM));
	expect_success(child);
	return pass();
}
