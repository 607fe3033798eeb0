/* A process with a debugger. */
#include "../program.h"
#include <sys/ptrace.h>

int main(void)
{
	pid_t child = must(fork());
	if (child == 0) {
		wait_for_sigterm();
		_exit(0);
	}
	must(ptrace(PTRACE_SEIZE, child, 0, 0));

	hold();

	must(ptrace(PTRACE_INTERRUPT, child, 0, 0));
	int status;
	expect(must(waitpid(child, &status, 0)), child);
	expect(WIFSTOPPED(status), 1);
	must(ptrace(PTRACE_DETACH, child, 0, 0));
	must(kill(child, SIGTERM));
	expect_success(child);
	return pass();
}
