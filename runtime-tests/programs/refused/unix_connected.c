/* A connection that somebody outside of the container, and of its network, has accepted. */
#include "../program.h"
#include <sys/socket.h>
#include <sys/un.h>

int main(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = STATE "/greeting" };
	int fd = must(socket(AF_UNIX, SOCK_STREAM, 0));
	must(connect(fd, (struct sockaddr *)&address, sizeof address));
	char greeting[8];
	expect(read(fd, greeting, sizeof greeting), 5);

	hold();

	expect(write(fd, "words", 5), 5);
	return pass();
}
