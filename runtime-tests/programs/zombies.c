/* Children that have ended and that nobody has waited for: by exit, by a signal, with a core, with a zombie child. */
#include "program.h"

int main(void)
{
	pid_t child[4];
	for (int number = 0; number < 4; number++) {
		child[number] = must(fork());
		if (child[number] != 0)
			continue;
		if (number == 0)
			_exit(42);
		if (number == 3)
			must(setsid());
		signal(SIGTERM, SIG_DFL);
		kill(getpid(), number == 1 ? SIGKILL : number == 2 ? SIGUSR1 : SIGALRM);
		pause();
	}
	for (int number = 0; number < 4; number++)
		wait_for_state(child[number], 'Z');

	hold();

	const int expected[] = { 42 << 8, SIGKILL, SIGUSR1, SIGALRM };
	expect(getpgid(child[3]), child[3]);
	for (int number = 3; number >= 0; number--) {
		int status;
		expect(must(waitpid(child[number], &status, WNOHANG)), child[number]);
		expect(status, expected[number]);
	}
	expect_error(wait(NULL), ECHILD);
	return pass();
}
