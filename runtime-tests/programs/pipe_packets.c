/* A pipe in packet mode: the boundaries of what was written are kept. */
#include "program.h"

int main(void)
{
	int fds[2];
	char text[16];
	must(pipe2(fds, O_DIRECT | O_NONBLOCK));
	expect(write(fds[1], "one", 3), 3);
	expect(write(fds[1], "second", 6), 6);

	hold();

	expect(fcntl(fds[0], F_GETFL), O_RDONLY | O_NONBLOCK);
	expect(fcntl(fds[1], F_GETFL), O_WRONLY | O_DIRECT | O_NONBLOCK);
	expect(read(fds[0], text, sizeof text), 3);
	expect_bytes(text, "one", 3);
	/* What does not fit of a packet is lost. */
	expect(read(fds[0], text, 2), 2);
	expect_bytes(text, "se", 2);
	expect_error(read(fds[0], text, sizeof text), EAGAIN);
	expect(write(fds[1], "x", 1), 1);
	expect(write(fds[1], "y", 1), 1);
	expect(read(fds[0], text, sizeof text), 1);
	return pass();
}
