/* Cgroups that the container has made below its own, with members and a limit. */
#include "program.h"

#define ROOT "/sys/fs/cgroup/"

int main(void)
{
	volatile int *ready = share(sizeof(int));
	char text[4096];
	must(mkdir(ROOT "inner", 0755));
	must(mkdir(ROOT "inner/most", 0755));
	must(mkdir(ROOT "empty", 0755));
	write_file(ROOT "inner/cgroup.max.depth", "5");
	pid_t child = must(fork());
	if (child == 0) {
		write_file(ROOT "inner/most/cgroup.procs", "0");
		raise_flag(ready);
		wait_for_sigterm();
		read_file("/proc/self/cgroup", text, sizeof text);
		if (strstr(text, "0::/inner/most\n") == NULL)
			fail("the child's cgroup is %s", text);
		_exit(0);
	}
	wait_for_flag(ready, 1);

	hold();

	expect(atoi(read_file(ROOT "inner/most/cgroup.procs", text, sizeof text)), child);
	expect(atoi(read_file(ROOT "inner/cgroup.max.depth", text, sizeof text)), 5);
	must(access(ROOT "empty/cgroup.procs", F_OK));
	must(kill(child, SIGTERM));
	expect_success(child);
	must(rmdir(ROOT "empty"));
	must(rmdir(ROOT "inner/most"));
	must(rmdir(ROOT "inner"));
	return pass();
}
