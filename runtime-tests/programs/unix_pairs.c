/* Pairs of unix sockets of each type with data in their queues, options, and one end in another process. */
#include "program.h"
#include <sys/socket.h>

int main(void)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };
	int pairs[COUNT(types)][2], to_child[2];
	char text[64] = "";
	for (size_t at = 0; at < COUNT(types); at++) {
		must(socketpair(AF_UNIX, types[at] | SOCK_NONBLOCK, 0, pairs[at]));
		expect(send(pairs[at][0], "first", 5, 0), 5);
		expect(send(pairs[at][0], "second one", 10, 0), 10);
		expect(send(pairs[at][1], "back", 4, 0), 4);
	}
	int size = 70000, on = 1;
	struct timeval timeout = { 3, 500000 };
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, to_child));
	must(setsockopt(to_child[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size));
	must(setsockopt(to_child[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
	must(setsockopt(to_child[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout));
	pid_t child = must(fork());
	if (child == 0) {
		close(to_child[0]);
		expect(read(to_child[1], text, sizeof text), 5);
		expect_text(text, "hello");
		expect(write(to_child[1], "bye", 3), 3);
		_exit(0);
	}
	close(to_child[1]);
	wait_for_state(child, 'S');

	hold();

	for (size_t at = 0; at < COUNT(types); at++) {
		socklen_t length = sizeof size;
		must(getsockopt(pairs[at][0], SOL_SOCKET, SO_TYPE, &size, &length));
		expect(size, types[at]);
		expect(fcntl(pairs[at][0], F_GETFL), O_RDWR | O_NONBLOCK);
		if (types[at] == SOCK_STREAM) {
			expect(recv(pairs[at][1], text, sizeof text, 0), 15);
			expect_bytes(text, "firstsecond one", 15);
		} else {
			expect(recv(pairs[at][1], text, sizeof text, 0), 5);
			expect_bytes(text, "first", 5);
			expect(recv(pairs[at][1], text, sizeof text, 0), 10);
			expect_bytes(text, "second one", 10);
		}
		expect_error(recv(pairs[at][1], text, sizeof text, 0), EAGAIN);
		expect(recv(pairs[at][0], text, sizeof text, 0), 4);
		expect(send(pairs[at][1], "still", 5, 0), 5);
		expect(recv(pairs[at][0], text, sizeof text, 0), 5);
	}
	socklen_t length = sizeof size;
	must(getsockopt(to_child[0], SOL_SOCKET, SO_SNDBUF, &size, &length));
	expect(size, 140000);
	must(getsockopt(to_child[0], SOL_SOCKET, SO_PASSCRED, &on, &length));
	expect(on, 1);
	length = sizeof timeout;
	must(getsockopt(to_child[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, &length));
	expect(timeout.tv_sec, 3);
	expect(timeout.tv_usec, 500000);
	expect(write(to_child[0], "hello", 5), 5);
	expect(read(to_child[0], text, sizeof text), 3);
	expect(read(to_child[0], text, sizeof text), 0);
	expect_success(child);
	return pass();
}
