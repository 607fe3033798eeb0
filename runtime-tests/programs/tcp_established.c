/* Established TCP connections of the container with itself, of both families, with data on its way in both directions, beside
 * the socket that listens at their port. */
#include "tcp.h"

enum { KINDS = 3, SIZE = 30000 };

static const struct {
	int family;
	bool mapped;
} kinds[KINDS] = { { AF_INET, false }, { AF_INET6, false }, { AF_INET6, true } };

int main(void)
{
	int listeners[KINDS], pairs[KINDS][2], later[2];
	unsigned char content[SIZE], found[SIZE];
	fill(content, SIZE, 1);
	for (int kind = 0; kind < KINDS; kind++) {
		listeners[kind] = listen_at(kinds[kind].family, kinds[kind].mapped, 7000 + kind);
		connect_to(listeners[kind], pairs[kind]);
		set_option(pairs[kind][0], IPPROTO_TCP, TCP_NODELAY, 1);
		set_option(pairs[kind][0], SOL_SOCKET, SO_KEEPALIVE, 1);
		set_option(pairs[kind][0], IPPROTO_TCP, TCP_KEEPIDLE, 77);
		must(fcntl(pairs[kind][1], F_SETFL, O_NONBLOCK));
		expect(write(pairs[kind][0], content, SIZE), SIZE);
		expect_sent(pairs[kind][1], "back");
	}
	struct sockaddr_storage own, same;
	socklen_t length = sizeof own;
	must(getsockname(pairs[0][0], (struct sockaddr *)&own, &length));

	hold();

	length = sizeof same;
	must(getsockname(pairs[0][0], (struct sockaddr *)&same, &length));
	expect_bytes(&same, &own, length);
	for (int kind = 0; kind < KINDS; kind++) {
		int client = pairs[kind][0], server = pairs[kind][1];
		expect(tcp_state(client), TCP_ESTABLISHED);
		expect(tcp_state(server), TCP_ESTABLISHED);
		expect(get_option(client, IPPROTO_TCP, TCP_NODELAY), 1);
		expect(get_option(server, IPPROTO_TCP, TCP_NODELAY), 0);
		expect(get_option(client, IPPROTO_TCP, TCP_KEEPIDLE), 77);
		expect(get_option(client, SOL_SOCKET, SO_REUSEADDR), 0);
		expect(get_option(server, SOL_SOCKET, SO_REUSEADDR), 1);
		expect(fcntl(client, F_GETFL), O_RDWR);
		expect(fcntl(server, F_GETFL), O_RDWR | O_NONBLOCK);
		must(fcntl(server, F_SETFL, 0));
		expect(recv(server, found, SIZE, MSG_WAITALL), SIZE);
		expect_bytes(found, content, SIZE);
		expect_received(client, "back");
		for (int turn = 0; turn < 3; turn++) {
			expect_sent(client, "there");
			expect_received(server, "there");
			expect(write(server, content, SIZE), SIZE);
			expect(recv(client, found, SIZE, MSG_WAITALL), SIZE);
			expect_bytes(found, content, SIZE);
		}
		/* Who listens goes on to do so. */
		connect_to(listeners[kind], later);
		expect_sent(later[0], "later");
		expect_received(later[1], "later");
		close(client);
		expect_end(server);
	}
	return pass();
}
