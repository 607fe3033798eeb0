/* A connection with somebody outside of the container. */
#include "../program.h"
#include <sys/socket.h>
#include <sys/un.h>

int main(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = STATE "/outside" };
	int fd = must(socket(AF_UNIX, SOCK_STREAM, 0));
	must(connect(fd, (struct sockaddr *)&address, sizeof address));

	hold();

	expect(write(fd, "words", 5), 5);
	return pass();
}
