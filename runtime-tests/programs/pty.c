/* A terminal of the program's own: termios, size, unread data, controlling terminal and foreground group of a session. */
#include "program.h"
#include <sys/ioctl.h>
#include <termios.h>

int main(void)
{
	struct termios mode, found;
	struct winsize size = { 33, 111, 5, 6 }, found_size;
	volatile int *ready = share(4096);
	char text[32] = "", name[32];
	int master = must(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
	int number, unlock = 0;
	must(ioctl(master, TIOCSPTLCK, &unlock));
	must(ioctl(master, TIOCGPTN, &number));
	snprintf(name, sizeof name, "/dev/pts/%d", number);
	int slave = must(open(name, O_RDWR | O_NOCTTY));
	must(tcgetattr(slave, &mode));
	mode.c_lflag &= ~(ECHO | ICANON);
	/* Otherwise the interrupt drops what is on its way. */
	mode.c_lflag |= NOFLSH;
	mode.c_iflag |= IGNBRK;
	mode.c_cc[VINTR] = 7;
	must(tcsetattr(slave, TCSANOW, &mode));
	/* The kernel has fewer control characters than the structure: zeros make the rest alike. */
	memset(&mode, 0, sizeof mode);
	memset(&found, 0, sizeof found);
	must(tcgetattr(slave, &mode));
	must(ioctl(slave, TIOCSWINSZ, &size));
	pid_t leader = must(fork());
	if (leader == 0) {
		must(setsid());
		must(ioctl(slave, TIOCSCTTY, 0));
		pid_t foreground = must(fork());
		if (foreground == 0) {
			must(setpgid(0, 0));
			raise_flag(&ready[0]);
			sigset_t set;
			sigemptyset(&set);
			sigaddset(&set, SIGINT);
			must(sigprocmask(SIG_BLOCK, &set, NULL));
			raise_flag(&ready[0]);
			/* The terminal's interrupt character comes to the foreground group. */
			while (sigwaitinfo(&set, NULL) < 0)
				expect(errno, EINTR);
			_exit(0);
		}
		wait_for_flag(&ready[0], 2);
		signal(SIGTTOU, SIG_IGN);
		must(tcsetpgrp(slave, foreground));
		raise_flag(&ready[0]);
		wait_for_sigterm();
		expect(tcgetpgrp(slave), foreground);
		expect(tcgetsid(slave), getpid());
		int tty = must(open("/dev/tty", O_RDWR));
		expect(write(tty, "from tty", 8), 8);
		expect_success(foreground);
		/* The leader's end hangs the terminal up, with what is in it. */
		wait_for_sigterm();
		_exit(0);
	}
	wait_for_flag(&ready[0], 3);

	hold();

	must(tcgetattr(slave, &found));
	expect_bytes(&found, &mode, sizeof mode);
	must(ioctl(master, TIOCGWINSZ, &found_size));
	expect_bytes(&found_size, &size, sizeof size);
	int found_number;
	must(ioctl(master, TIOCGPTN, &found_number));
	expect(found_number, number);
	expect(isatty(slave), 1);
	expect(write(master, "\007", 1), 1);
	must(kill(leader, SIGTERM));
	expect(must(read(master, text, sizeof text)), 8);
	expect_text(text, "from tty");
	must(kill(leader, SIGTERM));
	expect_success(leader);
	return pass();
}
