/* Asks tcp_echo in the same network, which must answer with what was said, until SIGTERM comes. */
#include "../tcp.h"

static bool is_told_to_end(void)
{
	sigset_t term;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	return sigtimedwait(&term, NULL, &(struct timespec){ 0 }) == SIGTERM;
}

int main(void)
{
	static uint64_t said[512], heard[512];
	struct sockaddr_storage address;
	socklen_t length = loopback(AF_INET, false, 7000, &address);
	int peer = must(socket(AF_INET, SOCK_STREAM, 0));
	int progress = must(open(STATE "/count", O_WRONLY | O_CREAT, 0666));
	must(connect(peer, (struct sockaddr *)&address, length));
	announce();
	uint64_t count;
	for (count = 0; !is_told_to_end(); count++) {
		for (size_t at = 0; at < COUNT(said); at++)
			said[at] = count * COUNT(said) + at;
		expect(send(peer, said, sizeof said, MSG_NOSIGNAL), sizeof said);
		expect(recv(peer, heard, sizeof heard, MSG_WAITALL), sizeof heard);
		expect_bytes(heard, said, sizeof said);
		char text[32];
		int digits = snprintf(text, sizeof text, "%lu", count);
		expect(pwrite(progress, text, digits, 0), digits);
	}
	close(peer);
	return pass();
}
