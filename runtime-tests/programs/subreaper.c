/* A child subreaper that is not the first process: orphans are still its own afterwards. */
#include "program.h"
#include <sys/prctl.h>

int main(void)
{
	struct shared {
		volatile int ready, orphaned;
		pid_t orphan;
	} *shared = share(sizeof *shared);
	pid_t child = must(fork());
	if (child == 0) {
		must(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
		pid_t middle = must(fork());
		if (middle == 0) {
			pid_t orphan = must(fork());
			if (orphan == 0) {
				raise_flag(&shared->ready);
				wait_for_sigterm();
				_exit(0);
			}
			shared->orphan = orphan;
			raise_flag(&shared->ready);
			wait_for_sigterm();
			_exit(0);
		}
		raise_flag(&shared->ready);
		wait_for_sigterm();
		int on = 0;
		must(prctl(PR_GET_CHILD_SUBREAPER, &on, 0, 0, 0));
		expect(on, 1);
		must(kill(middle, SIGTERM));
		expect_success(middle);
		must(kill(shared->orphan, SIGTERM));
		expect_success(shared->orphan);
		_exit(0);
	}
	wait_for_flag(&shared->ready, 3);

	hold();

	int on = 1;
	must(prctl(PR_GET_CHILD_SUBREAPER, &on, 0, 0, 0));
	expect(on, 0);
	must(kill(child, SIGTERM));
	expect_success(child);
	expect_error(wait(NULL), ECHILD);
	return pass();
}
