/*
 * Messages in the queues of unix sockets with the sender's credentials (SO_PASSCRED): of one that has ended, of one that
 * lives, with a descriptor, and of before anybody asked for credentials.
 */
#include "program.h"
#include <sys/socket.h>

static void send_descriptor(int socket, int fd)
{
	char control[CMSG_SPACE(sizeof fd)] = "";
	struct iovec data = { "passed", 6 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof control };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(header), &fd, sizeof fd);
	expect(must(sendmsg(socket, &message, 0)), 6);
}

/* Receives a message from `sender`, 0 for nobody, with as many descriptors. */
static void expect_from(int socket, const char *expected, pid_t sender, int descriptors)
{
	char control[256], text[16] = "";
	struct iovec data = { text, strlen(expected) };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof control };
	struct ucred credentials = { -1, -1, -1 };
	int found = 0, fd;
	expect(must(recvmsg(socket, &message, MSG_DONTWAIT)), strlen(expected));
	expect_text(text, expected);
	for (struct cmsghdr *at = CMSG_FIRSTHDR(&message); at != NULL; at = CMSG_NXTHDR(&message, at)) {
		if (at->cmsg_type == SCM_CREDENTIALS) {
			memcpy(&credentials, CMSG_DATA(at), sizeof credentials);
		} else {
			expect(at->cmsg_type, SCM_RIGHTS);
			memcpy(&fd, CMSG_DATA(at), sizeof fd);
			must(close(fd));
			found++;
		}
	}
	expect(credentials.pid, sender);
	if (sender != 0) {
		expect(credentials.uid, 0);
		expect(credentials.gid, 0);
	}
	expect(found, descriptors);
}

int main(void)
{
	int datagrams[2], stream[2], on = 1;
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, datagrams));
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, stream));
	expect(send(datagrams[0], "unsigned", 8, 0), 8);
	must(setsockopt(datagrams[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
	must(setsockopt(stream[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
	pid_t child = must(fork());
	if (child == 0) {
		expect(send(datagrams[0], "signed", 6, 0), 6);
		expect(send(stream[0], "of a child", 10, 0), 10);
		_exit(0);
	}
	expect_success(child);
	expect(send(datagrams[0], "own", 3, 0), 3);
	send_descriptor(datagrams[0], stream[0]);
	expect(send(stream[0], "and of its parent", 17, 0), 17);

	hold();

	expect_from(datagrams[1], "unsigned", 0, 0);
	expect_from(datagrams[1], "signed", child, 0);
	expect_from(datagrams[1], "own", getpid(), 0);
	expect_from(datagrams[1], "passed", getpid(), 1);
	expect_from(stream[1], "of a child", child, 0);
	expect_from(stream[1], "and of its", getpid(), 0);
	expect_from(stream[1], " parent", getpid(), 0);
	return pass();
}
