/* Parent, two children and a grandchild: ids, parents, and who gets whose exit status. */
#include "program.h"

static void expect_ids(pid_t pid, pid_t parent)
{
	expect(getpid(), pid);
	expect(getppid(), parent);
	expect(gettid(), pid);
}

int main(void)
{
	struct shared {
		volatile int ready;
		pid_t grandchild;
	} *shared = share(sizeof *shared);
	pid_t pid = getpid(), children[2];

	for (int number = 0; number < 2; number++) {
		children[number] = must(fork());
		if (children[number] != 0)
			continue;
		pid_t child = getpid(), grandchild = 0;
		if (number == 0) {
			grandchild = must(fork());
			if (grandchild == 0) {
				pid_t own = getpid();
				raise_flag(&shared->ready);
				wait_for_sigterm();
				expect_ids(own, child);
				_exit(7);
			}
			shared->grandchild = grandchild;
		}
		raise_flag(&shared->ready);
		wait_for_sigterm();
		expect_ids(child, pid);
		if (number == 0) {
			int status;
			must(kill(grandchild, SIGTERM));
			expect(must(waitpid(grandchild, &status, 0)), grandchild);
			expect(status, 7 << 8);
		}
		expect_error(wait(NULL), ECHILD);
		_exit(0);
	}
	wait_for_flag(&shared->ready, 3);

	hold();

	expect_ids(pid, 0);
	/* Not a child of ours. */
	expect_error(waitpid(shared->grandchild, NULL, WNOHANG), ECHILD);
	for (int number = 0; number < 2; number++) {
		must(kill(children[number], SIGTERM));
		expect_success(children[number]);
	}
	expect_error(wait(NULL), ECHILD);
	return pass();
}
