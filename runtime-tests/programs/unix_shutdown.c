/* Unix sockets that are shut down in one direction, and one whose other end is closed, with data left to read. */
#include "program.h"
#include <sys/socket.h>

int main(void)
{
	int half[2], closed[2];
	char text[16] = "";
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, half));
	expect(write(half[0], "before", 6), 6);
	must(shutdown(half[0], SHUT_WR));
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, closed));
	expect(write(closed[1], "left", 4), 4);
	close(closed[1]);
	signal(SIGPIPE, SIG_IGN);

	hold();

	expect(read(half[1], text, sizeof text), 6);
	expect(read(half[1], text, sizeof text), 0);
	expect_error(write(half[0], "x", 1), EPIPE);
	expect(write(half[1], "after", 5), 5);
	expect(read(half[0], text, sizeof text), 5);
	expect(read(closed[0], text, sizeof text), 4);
	expect_bytes(text, "left", 4);
	expect(read(closed[0], text, sizeof text), 0);
	expect_error(write(closed[0], "x", 1), EPIPE);
	return pass();
}
