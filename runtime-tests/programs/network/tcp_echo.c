/* Answers a peer from elsewhere with what it has said, until that is done. */
#include "../tcp.h"

int main(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(7000) };
	static unsigned char content[65536];
	int listener = must(socket(AF_INET, SOCK_STREAM, 0));
	must(bind(listener, (struct sockaddr *)&address, sizeof address));
	must(listen(listener, 1));
	announce();
	int peer = must(accept(listener, NULL, NULL));
	ssize_t count;
	while ((count = must(read(peer, content, sizeof content))) > 0)
		for (ssize_t sent = 0; sent < count;)
			sent += must(write(peer, content + sent, count - sent));
	close(peer);
	return pass();
}
