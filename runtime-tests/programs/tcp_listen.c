/* TCP sockets that listen, on both families, with options, and one that is neither bound nor connected. */
#include "program.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static int get(int fd, int level, int option)
{
	int value = -1;
	socklen_t length = sizeof value;
	must(getsockopt(fd, level, option, &value, &length));
	return value;
}

static void set(int fd, int level, int option, int value)
{
	must(setsockopt(fd, level, option, &value, sizeof value));
}

int main(void)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(8080), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(8081), .sin6_addr = in6addr_any };
	int listener = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	set(listener, SOL_SOCKET, SO_REUSEADDR, 1);
	set(listener, SOL_SOCKET, SO_KEEPALIVE, 1);
	set(listener, IPPROTO_TCP, TCP_KEEPIDLE, 77);
	set(listener, IPPROTO_TCP, TCP_NODELAY, 1);
	must(bind(listener, (struct sockaddr *)&v4, sizeof v4));
	must(listen(listener, 33));
	int listener6 = must(socket(AF_INET6, SOCK_STREAM, 0));
	set(listener6, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	must(bind(listener6, (struct sockaddr *)&v6, sizeof v6));
	must(listen(listener6, 5));
	int idle = must(socket(AF_INET, SOCK_STREAM, 0));

	hold();

	expect(fcntl(listener, F_GETFL), O_RDWR | O_NONBLOCK);
	expect(fcntl(listener, F_GETFD), FD_CLOEXEC);
	expect(get(listener, SOL_SOCKET, SO_ACCEPTCONN), 1);
	expect(get(listener, SOL_SOCKET, SO_REUSEADDR), 1);
	expect(get(listener, SOL_SOCKET, SO_KEEPALIVE), 1);
	expect(get(listener, IPPROTO_TCP, TCP_KEEPIDLE), 77);
	expect(get(listener, IPPROTO_TCP, TCP_NODELAY), 1);
	expect(get(listener6, IPPROTO_IPV6, IPV6_V6ONLY), 1);
	char text[8] = "";
	must(connect(idle, (struct sockaddr *)&v4, sizeof v4));
	expect(write(idle, "tcp", 3), 3);
	int server = -1;
	for (int tries = 0; server < 0 && tries < 1000; tries++) {
		server = accept(listener, NULL, NULL);
		pause_ms(1);
	}
	must(server);
	expect(read(server, text, sizeof text), 3);
	expect_text(text, "tcp");
	v6.sin6_addr = in6addr_loopback;
	int client6 = must(socket(AF_INET6, SOCK_STREAM, 0));
	must(connect(client6, (struct sockaddr *)&v6, sizeof v6));
	must(accept(listener6, NULL, NULL));
	return pass();
}
