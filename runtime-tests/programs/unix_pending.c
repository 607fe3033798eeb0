/* A listening unix socket with connections that nobody has accepted yet. */
#include "program.h"
#include <sys/socket.h>
#include <sys/un.h>

int main(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/data/listening" };
	int clients[2];
	char text[16] = "";
	int listener = must(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
	must(bind(listener, (struct sockaddr *)&address, sizeof address));
	must(listen(listener, 5));
	for (int at = 0; at < 2; at++) {
		clients[at] = must(socket(AF_UNIX, SOCK_STREAM, 0));
		must(connect(clients[at], (struct sockaddr *)&address, sizeof address));
	}

	hold();

	int first = must(accept(listener, NULL, NULL));
	expect(write(clients[0], "now", 3), 3);
	expect(read(first, text, sizeof text), 3);
	int second = must(accept(listener, NULL, NULL));
	expect(write(second, "answer", 6), 6);
	expect(read(clients[1], text, sizeof text), 6);
	expect_error(accept(listener, NULL, NULL), EAGAIN);
	return pass();
}
