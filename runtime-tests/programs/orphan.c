/* A task whose parent has ended: the first process is its parent, its session and group are as they were. */
#include "program.h"

int main(void)
{
	struct shared {
		volatile int ready;
		pid_t orphan;
	} *shared = share(sizeof *shared);
	pid_t middle = must(fork());
	if (middle == 0) {
		must(setpgid(0, 0));
		pid_t group = getpid();
		if (must(fork()) == 0) {
			while (getppid() != 1)
				pause_ms(1);
			shared->orphan = getpid();
			raise_flag(&shared->ready);
			wait_for_sigterm();
			expect(getppid(), 1);
			expect(getpgid(0), group);
			_exit(5);
		}
		_exit(0);
	}
	expect_success(middle);
	wait_for_flag(&shared->ready, 1);

	hold();

	int status;
	must(kill(shared->orphan, SIGTERM));
	expect(must(waitpid(-1, &status, 0)), shared->orphan);
	expect(status, 5 << 8);
	return pass();
}
