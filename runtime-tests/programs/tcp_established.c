/* An established TCP connection of the container with itself, with data on its way in both directions, one half closed. */
#include "program.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static void connect_pair(int port, int pair[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int on = 1, listener = must(socket(AF_INET, SOCK_STREAM, 0));
	must(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
	must(bind(listener, (struct sockaddr *)&address, sizeof address));
	must(listen(listener, 1));
	pair[0] = must(socket(AF_INET, SOCK_STREAM, 0));
	must(connect(pair[0], (struct sockaddr *)&address, sizeof address));
	pair[1] = must(accept(listener, NULL, NULL));
	close(listener);
}

int main(void)
{
	int plain[2], half[2], on = 1;
	char text[32] = "";
	unsigned char content[30000], found[30000];
	fill(content, sizeof content, 1);
	connect_pair(7001, plain);
	connect_pair(7002, half);
	must(setsockopt(plain[0], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
	expect(write(plain[0], content, sizeof content), sizeof content);
	expect(write(plain[1], "back", 4), 4);
	expect(write(half[0], "before", 6), 6);
	must(shutdown(half[0], SHUT_WR));

	hold();

	expect(recv(plain[1], found, sizeof found, MSG_WAITALL), sizeof found);
	expect_bytes(found, content, sizeof found);
	expect(read(plain[0], text, sizeof text), 4);
	expect(write(plain[0], "more", 4), 4);
	expect(read(plain[1], text, sizeof text), 4);
	socklen_t length = sizeof on;
	on = 0;
	must(getsockopt(plain[0], IPPROTO_TCP, TCP_NODELAY, &on, &length));
	expect(on, 1);
	expect(read(half[1], text, sizeof text), 6);
	expect(read(half[1], text, sizeof text), 0);
	expect(write(half[1], "after", 5), 5);
	expect(read(half[0], text, sizeof text), 5);
	close(plain[0]);
	expect(read(plain[1], text, sizeof text), 0);
	return pass();
}
