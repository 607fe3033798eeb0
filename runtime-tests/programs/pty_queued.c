/* Data that is on its way through terminals, in both directions: as it was typed, and by lines, the last one unfinished. */
#include "program.h"
#include <sys/ioctl.h>
#include <termios.h>

struct pair {
	int master, slave;
};

static struct pair open_pair(tcflag_t without)
{
	struct termios mode;
	struct pair pair;
	char name[32];
	int number, unlock = 0;
	pair.master = must(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK));
	must(ioctl(pair.master, TIOCSPTLCK, &unlock));
	must(ioctl(pair.master, TIOCGPTN, &number));
	snprintf(name, sizeof name, "/dev/pts/%d", number);
	pair.slave = must(open(name, O_RDWR | O_NOCTTY | O_NONBLOCK));
	must(tcgetattr(pair.slave, &mode));
	mode.c_lflag &= ~without;
	must(tcsetattr(pair.slave, TCSANOW, &mode));
	return pair;
}

static void expect_read(int fd, const char *expected)
{
	char text[64] = "";
	expect(must(read(fd, text, sizeof text - 1)), strlen(expected));
	expect_text(text, expected);
}

int main(void)
{
	struct pair raw = open_pair(ECHO | ICANON), lines = open_pair(0);
	expect(write(raw.master, "typed\r", 6), 6);
	expect(write(raw.slave, "printed\n", 8), 8);
	expect(write(lines.master, "one\rtwo\runfin", 13), 13);
	pause_ms(20);

	hold();

	expect_read(raw.slave, "typed\n");
	expect_read(raw.master, "printed\r\n");
	expect_read(lines.slave, "one\n");
	expect_read(lines.slave, "two\n");
	expect_error(read(lines.slave, (char[8]){ 0 }, 8), EAGAIN);
	/* The rest, with a mistake that is erased. */
	expect(write(lines.master, "ix\x7fshed\r", 8), 8);
	pause_ms(20);
	expect_read(lines.slave, "unfinished\n");
	expect_read(lines.master, "one\r\ntwo\r\nunfinix\b \bshed\r\n");
	return pass();
}
