/* Connections that wait to be accepted, with data in them; one was already closed by who made it. */
#include "../program.h"
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
		expect(write(clients[at], "early", 5), 5);
	}
	close(clients[1]);

	hold();

	int first = must(accept(listener, NULL, NULL));
	expect(read(first, text, sizeof text), 5);
	expect_text(text, "early");
	expect(write(first, "answer", 6), 6);
	expect(read(clients[0], text, sizeof text), 6);
	int second = must(accept(listener, NULL, NULL));
	expect(read(second, text, sizeof text), 5);
	expect(read(second, text, sizeof text), 0);
	expect_error(accept(listener, NULL, NULL), EAGAIN);
	return pass();
}
