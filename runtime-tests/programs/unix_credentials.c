/* Messages in the queue of a unix socket with the sender's credentials (SO_PASSCRED). */
#include "program.h"
#include <sys/socket.h>

int main(void)
{
	int pair[2], on = 1;
	char control[CMSG_SPACE(sizeof(struct ucred))], text[16] = "";
	struct iovec data = { text, sizeof text };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof control };
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	must(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
	pid_t child = must(fork());
	if (child == 0) {
		expect(send(pair[0], "signed", 6, 0), 6);
		_exit(0);
	}
	expect_success(child);

	hold();

	expect(must(recvmsg(pair[1], &message, MSG_DONTWAIT)), 6);
	expect_text(text, "signed");
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	if (header == NULL)
		fail("no credentials");
	expect(header->cmsg_type, SCM_CREDENTIALS);
	struct ucred sender;
	memcpy(&sender, CMSG_DATA(header), sizeof sender);
	expect(sender.pid, child);
	expect(sender.uid, 0);
	return pass();
}
