/* Data that is on its way through a terminal, in both directions. */
#include "program.h"
#include <sys/ioctl.h>
#include <termios.h>

int main(void)
{
	struct termios mode;
	char text[32] = "", name[32];
	int master = must(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK));
	int number, unlock = 0;
	must(ioctl(master, TIOCSPTLCK, &unlock));
	must(ioctl(master, TIOCGPTN, &number));
	snprintf(name, sizeof name, "/dev/pts/%d", number);
	int slave = must(open(name, O_RDWR | O_NOCTTY | O_NONBLOCK));
	must(tcgetattr(slave, &mode));
	mode.c_lflag &= ~(ECHO | ICANON);
	must(tcsetattr(slave, TCSANOW, &mode));
	expect(write(master, "typed", 5), 5);
	expect(write(slave, "printed", 7), 7);
	pause_ms(20);

	hold();

	expect(must(read(slave, text, sizeof text)), 5);
	expect_bytes(text, "typed", 5);
	expect(must(read(master, text, sizeof text)), 7);
	expect_bytes(text, "printed", 7);
	return pass();
}
