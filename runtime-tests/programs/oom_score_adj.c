/* oom_score_adj of two processes. */
#include "program.h"

int main(void)
{
	volatile int *ready = share(sizeof(int));
	char text[16];
	pid_t child = must(fork());
	if (child == 0) {
		write_file("/proc/self/oom_score_adj", "777");
		raise_flag(ready);
		wait_for_sigterm();
		expect_text(read_file("/proc/self/oom_score_adj", text, sizeof text), "777\n");
		_exit(0);
	}
	write_file("/proc/self/oom_score_adj", "500");
	wait_for_flag(ready, 1);

	hold();

	expect_text(read_file("/proc/self/oom_score_adj", text, sizeof text), "500\n");
	must(kill(child, SIGTERM));
	expect_success(child);
	return pass();
}
