/* A child below another root, with files open inside and outside of it. */
#include "program.h"

int main(void)
{
	volatile int *ready = share(sizeof(int));
	char text[16], path[64];
	must(mkdir("/data/root", 0755));
	must(mkdir("/data/root/inside", 0755));
	write_file("/data/root/file", "inner");
	write_file("/data/file", "outer");
	pid_t child = must(fork());
	if (child == 0) {
		int outer = must(open("/data/file", O_RDONLY));
		/* Failures are told through it. */
		int state = must(open(STATE, O_PATH | O_DIRECTORY));
		must(chroot("/data/root"));
		must(chdir("/inside"));
		int inner = must(open("/file", O_RDONLY));
		raise_flag(ready);
		wait_for_sigterm();
		bool good = syscall(SYS_getcwd, path, sizeof path) > 0 && strcmp(path, "/inside") == 0;
		good = good && access("/file", F_OK) == 0 && access("/data", F_OK) < 0;
		good = good && read(inner, text, 5) == 5 && memcmp(text, "inner", 5) == 0;
		good = good && read(outer, text, 5) == 5 && memcmp(text, "outer", 5) == 0;
		good = good && faccessat(state, "ready", F_OK, 0) == 0;
		_exit(good ? 0 : 1);
	}
	wait_for_flag(ready, 1);

	hold();

	must(access("/data/root/file", F_OK));
	must(kill(child, SIGTERM));
	expect_success(child);
	return pass();
}
