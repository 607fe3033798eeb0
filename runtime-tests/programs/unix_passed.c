/* Descriptors on their way through unix sockets: a pipe, a file, a socket, several at once, nobody else has them. */
#include "program.h"
#include <sys/socket.h>

static void pass_on(int socket, const char *text, const int *fds, int count)
{
	char control[CMSG_SPACE(4 * sizeof(int))] = { 0 };
	struct iovec data = { (char *)text, strlen(text) };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = CMSG_SPACE(count * sizeof(int)) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(header), fds, count * sizeof(int));
	expect(must(sendmsg(socket, &message, 0)), strlen(text));
	for (int at = 0; at < count; at++)
		close(fds[at]);
}

static void receive(int socket, const char *expected, int *fds, int count)
{
	char control[256], text[64] = "";
	struct iovec data = { text, sizeof text - 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof control };
	must(recvmsg(socket, &message, MSG_DONTWAIT));
	expect_text(text, expected);
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	if (header == NULL)
		fail("`%s` came without descriptors", expected);
	expect(header->cmsg_type, SCM_RIGHTS);
	expect(header->cmsg_len, CMSG_LEN(count * sizeof(int)));
	memcpy(fds, CMSG_DATA(header), count * sizeof(int));
}

int main(void)
{
	int stream[2], datagram[2], pipe_fds[2], pair[2], fds[3];
	char text[16] = "";
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, stream));
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, datagram));
	must(pipe(pipe_fds));
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	int file = must(open("/data/file", O_RDWR | O_CREAT, 0600));
	expect(write(file, "0123456789", 10), 10);
	must(lseek(file, 4, SEEK_SET));
	expect(write(pipe_fds[1], "piped", 5), 5);
	expect(write(pair[1], "paired", 6), 6);
	pass_on(stream[0], "three", (int[]){ pipe_fds[0], file, pair[0] }, 3);
	pass_on(datagram[0], "one", (int[]){ must(open("/dev/zero", O_RDONLY)) }, 1);
	expect(send(datagram[0], "none", 4, 0), 4);

	hold();

	receive(stream[1], "three", fds, 3);
	expect(read(fds[0], text, sizeof text), 5);
	expect_text(text, "piped");
	expect(lseek(fds[1], 0, SEEK_CUR), 4);
	expect(read(fds[2], text, sizeof text), 6);
	expect_text(text, "paired");
	expect(write(pipe_fds[1], "more", 4), 4);
	expect(read(fds[0], text, sizeof text), 4);
	receive(datagram[1], "one", fds, 1);
	expect(read(fds[0], text, 3), 3);
	expect(is_zero(text, 3), true);
	expect(recv(datagram[1], text, sizeof text, 0), 4);
	return pass();
}
