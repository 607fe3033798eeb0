/* Working directory and umask of two processes, one in a directory that was removed. */
#include "program.h"

int main(void)
{
	volatile int *ready = share(sizeof(int));
	char path[256];
	must(mkdir("/data/here", 0755));
	must(mkdir("/data/gone", 0755));
	pid_t child = must(fork());
	if (child == 0) {
		must(chdir("/data/gone"));
		must(rmdir("/data/gone"));
		umask(0);
		raise_flag(ready);
		wait_for_sigterm();
		expect(syscall(SYS_getcwd, path, sizeof path), -1);
		expect(errno, ENOENT);
		expect_error(open("x", O_CREAT | O_WRONLY, 0600), ENOENT);
		expect(umask(0), 0);
		_exit(0);
	}
	wait_for_flag(ready, 1);
	must(chdir("/data/here"));
	umask(0137);

	hold();

	must(syscall(SYS_getcwd, path, sizeof path));
	expect_text(path, "/data/here");
	expect(umask(0), 0137);
	write_file("relative", "");
	must(access("/data/here/relative", F_OK));
	must(kill(child, SIGTERM));
	expect_success(child);
	return pass();
}
