/* A TCP connection that waits to be accepted, without --tcp-skip-in-flight. */
#include "../tcp.h"

int main(void)
{
	struct sockaddr_storage address;
	int listener = listen_at(AF_INET, false, 7000), client = must(socket(AF_INET, SOCK_STREAM, 0));
	socklen_t length = loopback(AF_INET, false, 7000, &address);
	must(connect(client, (struct sockaddr *)&address, length));

	hold();

	expect_sent(client, "words");
	expect_received(must(accept(listener, NULL, NULL)), "words");
	return pass();
}
