/* Datagrams of no bytes among others, a filter of what a socket receives, and SO_LINGER. */
#include "program.h"
#include <linux/filter.h>
#include <sys/socket.h>

int main(void)
{
	int pair[2], filtered[2];
	char text[16] = "";
	/* Datagrams of more than four bytes are cut. */
	struct sock_filter instructions[] = { BPF_STMT(BPF_RET | BPF_K, 4) };
	struct sock_fprog program = { COUNT(instructions), instructions };
	struct linger linger = { 1, 7 }, found = { 0 };
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	expect(send(pair[0], "", 0, 0), 0);
	expect(send(pair[0], "one", 3, 0), 3);
	expect(send(pair[0], "", 0, 0), 0);
	expect(send(pair[0], "", 0, 0), 0);
	expect(send(pair[0], "last", 4, 0), 4);
	must(setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, filtered));
	expect(send(filtered[0], "before", 6, 0), 6);
	must(setsockopt(filtered[1], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));

	hold();

	static const int lengths[] = { 0, 3, 0, 0, 4 };
	for (size_t at = 0; at < COUNT(lengths); at++)
		expect(recv(pair[1], text, sizeof text, MSG_DONTWAIT), lengths[at]);
	expect_error(recv(pair[1], text, sizeof text, MSG_DONTWAIT), EAGAIN);
	socklen_t length = sizeof found;
	must(getsockopt(pair[0], SOL_SOCKET, SO_LINGER, &found, &length));
	expect_bytes(&found, &linger, sizeof linger);
	expect(recv(filtered[1], text, sizeof text, MSG_DONTWAIT), 6);
	expect(send(filtered[0], "longer", 6, 0), 6);
	expect(recv(filtered[1], text, sizeof text, MSG_DONTWAIT), 4);
	return pass();
}
