/* A listening unix socket whose name was removed: connections go on, the name stays away. */
#include "program.h"
#include <sys/socket.h>
#include <sys/un.h>

int main(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/data/removed" };
	char text[16] = "";
	int listener = must(socket(AF_UNIX, SOCK_STREAM, 0)), client = must(socket(AF_UNIX, SOCK_STREAM, 0));
	must(bind(listener, (struct sockaddr *)&address, sizeof address));
	must(listen(listener, 5));
	must(connect(client, (struct sockaddr *)&address, sizeof address));
	int server = must(accept(listener, NULL, NULL));
	must(unlink(address.sun_path));

	hold();

	expect(write(client, "words", 5), 5);
	expect(read(server, text, sizeof text), 5);
	expect_error(access(address.sun_path, F_OK), ENOENT);
	return pass();
}
