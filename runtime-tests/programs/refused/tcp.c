/* An established TCP connection, without --tcp-established. */
#include "../program.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

int main(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(7000), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	char text[8] = "";
	int listener = must(socket(AF_INET, SOCK_STREAM, 0)), client = must(socket(AF_INET, SOCK_STREAM, 0));
	must(bind(listener, (struct sockaddr *)&address, sizeof address));
	must(listen(listener, 1));
	must(connect(client, (struct sockaddr *)&address, sizeof address));
	int server = must(accept(listener, NULL, NULL));

	hold();

	expect(write(client, "words", 5), 5);
	expect(read(server, text, sizeof text), 5);
	return pass();
}
