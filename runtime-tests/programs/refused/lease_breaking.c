/* A lease that somebody waits for. */
#include "../program.h"

int main(void)
{
	volatile int *ready = share(sizeof(int));
	write_file("/data/file", "leased");
	int fd = must(open("/data/file", O_RDWR));
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	must(sigaction(SIGIO, &ignore, NULL));
	must(fcntl(fd, F_SETLEASE, F_WRLCK));
	pid_t child = must(fork());
	if (child == 0) {
		close(fd);
		raise_flag(ready);
		must(open("/data/file", O_RDONLY));
		wait_for_sigterm();
		_exit(0);
	}
	wait_for_flag(ready, 1);
	wait_for_state(child, 'S');

	hold();

	must(fcntl(fd, F_SETLEASE, F_UNLCK));
	must(kill(child, SIGTERM));
	expect_success(child);
	return pass();
}
