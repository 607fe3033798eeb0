/* Open files of /proc and /sys, of the process itself and of one that has ended. */
#include "program.h"

int main(void)
{
	char text[4096];
	int own = must(open("/proc/self/status", O_RDONLY));
	int fds = must(open("/proc/self/fd", O_RDONLY | O_DIRECTORY));
	int system = must(open("/proc/sys/kernel/ostype", O_RDONLY));
	int sys = must(open("/sys/kernel/mm", O_RDONLY | O_DIRECTORY));
	pid_t child = must(fork());
	if (child == 0) {
		wait_for_sigterm();
		_exit(0);
	}
	snprintf(text, sizeof text, "/proc/%d/comm", child);
	int of_child = must(open(text, O_RDONLY));

	hold();

	expect_between(pread(own, text, sizeof text, 0), 100, sizeof text);
	struct stat status;
	must(fstatat(fds, "0", &status, 0));
	expect(pread(system, text, sizeof text, 0), 6);
	must(fstat(sys, &status));
	expect(pread(of_child, text, sizeof text, 0), 11);
	expect_bytes(text, "proc_files\n", 11);
	must(kill(child, SIGTERM));
	expect_success(child);
	expect_error(pread(of_child, text, sizeof text, 0), ESRCH);
	return pass();
}
