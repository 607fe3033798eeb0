/* What prctl says about a process: dumpable, name, signal at the parent's death, huge pages, machine checks. */
#include "program.h"
#include <sys/prctl.h>

int main(void)
{
	volatile int *ready = share(sizeof(int));
	int signal = 0, killed;
	char name[17] = "";
	pid_t child = must(fork());
	if (child == 0) {
		must(prctl(PR_SET_PDEATHSIG, SIGUSR2));
		must(prctl(PR_SET_DUMPABLE, 0));
		must(prctl(PR_SET_NAME, "nobody's name"));
		must(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
		pid_t grandchild = must(fork());
		if (grandchild == 0) {
			must(prctl(PR_SET_PDEATHSIG, SIGKILL));
			raise_flag(ready);
			wait_for_sigterm();
			fail("the parent's death has not killed the grandchild");
		}
		raise_flag(ready);
		wait_for_sigterm();
		must(prctl(PR_GET_PDEATHSIG, &signal));
		expect(signal, SIGUSR2);
		expect(prctl(PR_GET_DUMPABLE), 0);
		must(prctl(PR_GET_NAME, name));
		expect_text(name, "nobody's name");
		expect(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 1);
		_exit(0);
	}
	must(prctl(PR_SET_DUMPABLE, 1));
	must(prctl(PR_SET_NAME, "(a) b\nc"));
	wait_for_flag(ready, 2);

	hold();

	expect(prctl(PR_GET_DUMPABLE), 1);
	must(prctl(PR_GET_NAME, name));
	expect_text(name, "(a) b\nc");
	expect(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 0);
	must(prctl(PR_GET_PDEATHSIG, &signal));
	expect(signal, 0);
	must(kill(child, SIGTERM));
	expect_success(child);
	/* We inherit the grandchild. */
	must(wait(&killed));
	expect(killed, SIGKILL);
	return pass();
}
