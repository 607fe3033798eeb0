/* Unix sockets with names in the file system and abstract ones: listening, connected, datagrams. */
#include "program.h"
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

static socklen_t name(struct sockaddr_un *address, const char *path)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	strcpy(address->sun_path, path);
	size_t length = strlen(path);
	/* `@` stands for the zero byte of an abstract name. */
	if (path[0] == '@')
		address->sun_path[0] = '\0';
	else
		length++;
	return offsetof(struct sockaddr_un, sun_path) + length;
}

static int bound(const char *path, int type)
{
	struct sockaddr_un address;
	socklen_t length = name(&address, path);
	int fd = must(socket(AF_UNIX, type, 0));
	must(bind(fd, (struct sockaddr *)&address, length));
	if (type != SOCK_DGRAM)
		must(listen(fd, 7));
	return fd;
}

static int connected(const char *path, int type)
{
	struct sockaddr_un address;
	socklen_t length = name(&address, path);
	int fd = must(socket(AF_UNIX, type, 0));
	must(connect(fd, (struct sockaddr *)&address, length));
	return fd;
}

static void talk(int from, int to)
{
	char text[16] = "";
	expect(write(from, "words", 5), 5);
	expect(read(to, text, sizeof text), 5);
	expect_text(text, "words");
}

int main(void)
{
	static const char *const names[] = { "/data/listening", "@listening" };
	int listeners[2], clients[2], servers[2];
	for (int at = 0; at < 2; at++) {
		listeners[at] = bound(names[at], at == 1 ? SOCK_SEQPACKET : SOCK_STREAM);
		clients[at] = connected(names[at], at == 1 ? SOCK_SEQPACKET : SOCK_STREAM);
		servers[at] = must(accept(listeners[at], NULL, NULL));
		expect(write(clients[at], "queued", 6), 6);
	}
	must(chmod("/data/listening", 0642));
	int receiver = bound("/data/datagrams", SOCK_DGRAM);
	int sender = connected("/data/datagrams", SOCK_DGRAM);
	expect(write(sender, "queued", 6), 6);
	int abstract_receiver = bound("@datagrams", SOCK_DGRAM);
	int idle = must(socket(AF_UNIX, SOCK_DGRAM, 0));

	hold();

	char text[16] = "";
	for (int at = 0; at < 2; at++) {
		expect(read(servers[at], text, sizeof text), 6);
		talk(clients[at], servers[at]);
		talk(servers[at], clients[at]);
		struct ucred peer;
		socklen_t length = sizeof peer;
		must(getsockopt(clients[at], SOL_SOCKET, SO_PEERCRED, &peer, &length));
		expect(peer.pid, getpid());
	}
	/* They still listen. */
	for (int at = 0; at < 2; at++) {
		int client = connected(names[at], at == 1 ? SOCK_SEQPACKET : SOCK_STREAM);
		int server = must(accept(listeners[at], NULL, NULL));
		talk(client, server);
	}
	struct stat status;
	must(stat("/data/listening", &status));
	expect(status.st_mode & 07777, 0642);
	expect(read(receiver, text, sizeof text), 6);
	talk(sender, receiver);
	talk(connected("@datagrams", SOCK_DGRAM), abstract_receiver);
	talk(connected("/data/datagrams", SOCK_DGRAM), receiver);
	expect_error(write(idle, "x", 1), ENOTCONN);
	return pass();
}
