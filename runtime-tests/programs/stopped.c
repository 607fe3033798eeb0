/* A stopped task: it stays stopped, its parent is told neither twice nor never, and it goes on when continued. */
#include "program.h"

int main(void)
{
	volatile int *ready = share(sizeof(int));
	int status;
	pid_t child[2];
	for (int number = 0; number < 2; number++) {
		child[number] = must(fork());
		if (child[number] == 0) {
			/* A group that is not orphaned: only there SIGTSTP stops. */
			if (number == 1)
				must(setpgid(0, 0));
			raise_flag(ready);
			wait_for_sigterm();
			_exit(0);
		}
	}
	wait_for_flag(ready, 2);
	must(kill(child[0], SIGSTOP));
	must(kill(child[1], SIGTSTP));
	wait_for_state(child[0], 'T');
	wait_for_state(child[1], 'T');
	/* The first stop has been reported before, the second not. */
	expect(must(waitpid(child[0], &status, WUNTRACED)), child[0]);
	expect(status, SIGSTOP << 8 | 0x7f);

	hold();

	wait_for_state(child[0], 'T');
	wait_for_state(child[1], 'T');
	expect(must(waitpid(child[1], &status, WUNTRACED)), child[1]);
	expect(WIFSTOPPED(status), 1);
	for (int number = 0; number < 2; number++) {
		must(kill(child[number], SIGTERM));
		pause_ms(20);
		wait_for_state(child[number], 'T');
		must(kill(child[number], SIGCONT));
		expect_success(child[number]);
	}
	return pass();
}
