/* A TCP connection that nobody has answered yet. */
#include "tcp.h"
#include <poll.h>

int main(void)
{
	struct sockaddr_storage address;
	int listener = listen_at(AF_INET, false, 7000), client = must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	socklen_t length = loopback(AF_INET, false, 7000, &address);
	lose(listener);
	expect_error(connect(client, (struct sockaddr *)&address, length), EINPROGRESS);
	expect(tcp_state(client), TCP_SYN_SENT);

	hold();

	expect(tcp_state(client), TCP_SYN_SENT);
	lose_no_more(listener);
	struct pollfd events = { .fd = client, .events = POLLOUT };
	expect(poll(&events, 1, 60000), 1);
	expect(get_option(client, SOL_SOCKET, SO_ERROR), 0);
	int server = must(accept(listener, NULL, NULL));
	expect_sent(client, "hello");
	expect_received(server, "hello");
	return pass();
}
