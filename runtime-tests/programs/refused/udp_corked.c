/* A datagram of which a part has been written. */
#include "../program.h"
#include <netinet/in.h>
#include <sys/socket.h>

int main(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	int receiver = must(socket(AF_INET, SOCK_DGRAM, 0)), sender = must(socket(AF_INET, SOCK_DGRAM, 0));
	char text[8] = "";
	must(bind(receiver, (struct sockaddr *)&address, length));
	must(getsockname(receiver, (struct sockaddr *)&address, &length));
	must(connect(sender, (struct sockaddr *)&address, length));
	must(send(sender, "one", 3, MSG_MORE));

	hold();

	must(send(sender, "two", 3, 0));
	expect(must(recv(receiver, text, sizeof text, 0)), 6);
	expect_text(text, "onetwo");
	return pass();
}
