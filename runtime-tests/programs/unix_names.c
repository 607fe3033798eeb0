/* What getsockname and getpeername say about unix sockets: names that are there, were removed, and are abstract. */
#include "program.h"
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(void)
{
	static const char *const names[] = { "/data/there", "/data/removed", "\0abstract" };
	struct sockaddr_un addresses[COUNT(names)] = { 0 }, found;
	int listeners[COUNT(names)], clients[COUNT(names)], servers[COUNT(names)];
	socklen_t lengths[COUNT(names)], length;
	for (size_t at = 0; at < COUNT(names); at++) {
		addresses[at].sun_family = AF_UNIX;
		size_t size = at == 2 ? sizeof "\0abstract" - 1 : strlen(names[at]) + 1;
		memcpy(addresses[at].sun_path, names[at], size);
		lengths[at] = offsetof(struct sockaddr_un, sun_path) + size;
		listeners[at] = must(socket(AF_UNIX, SOCK_STREAM, 0));
		must(bind(listeners[at], (struct sockaddr *)&addresses[at], lengths[at]));
		must(listen(listeners[at], 5));
		clients[at] = must(socket(AF_UNIX, SOCK_STREAM, 0));
		must(connect(clients[at], (struct sockaddr *)&addresses[at], lengths[at]));
		servers[at] = must(accept(listeners[at], NULL, NULL));
	}
	must(unlink("/data/removed"));

	hold();

	for (size_t at = 0; at < COUNT(names); at++) {
		length = sizeof found;
		must(getsockname(listeners[at], (struct sockaddr *)&found, &length));
		expect(length, lengths[at]);
		expect_bytes(&found, &addresses[at], length);
		length = sizeof found;
		must(getpeername(clients[at], (struct sockaddr *)&found, &length));
		expect(length, lengths[at]);
		expect_bytes(&found, &addresses[at], length);
		length = sizeof found;
		must(getsockname(servers[at], (struct sockaddr *)&found, &length));
		expect(length, lengths[at]);
		/* The client has no name. */
		length = sizeof found;
		must(getpeername(servers[at], (struct sockaddr *)&found, &length));
		expect(length, offsetof(struct sockaddr_un, sun_path));
	}
	return pass();
}
