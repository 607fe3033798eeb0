/* TCP connections whose queues are as full as they get, because nobody reads, and one that is corked. */
#include "tcp.h"

/* Writes as long as the kernel takes it. */
static size_t fill_up(int fd, unsigned char *content, size_t size)
{
	size_t sent = 0;
	must(fcntl(fd, F_SETFL, O_NONBLOCK));
	/* What was sent makes room for more for a while. */
	for (int quiet = 0; quiet < 200 && sent < size; quiet++) {
		ssize_t count;
		while ((count = write(fd, content + sent, size - sent)) > 0) {
			sent += count;
			quiet = 0;
		}
		pause_ms(1);
	}
	must(fcntl(fd, F_SETFL, 0));
	return sent;
}

int main(void)
{
	enum { SIZE = 16 << 20 };
	int full[2], corked[2];
	char none;
	size_t sent[2];
	unsigned char *content = must_map(malloc(SIZE)), *found = must_map(malloc(SIZE));
	fill(content, SIZE, 3);
	connect_pair(AF_INET, false, 7000, full);
	connect_pair(AF_INET6, false, 7001, corked);
	for (int end = 0; end < 2; end++)
		sent[end] = fill_up(full[end], content, SIZE);
	set_option(corked[0], IPPROTO_TCP, TCP_CORK, 1);
	expect_sent(corked[0], "held back");

	hold();

	for (int end = 0; end < 2; end++) {
		expect(recv(full[!end], found, sent[end], MSG_WAITALL), sent[end]);
		expect_bytes(found, content, sent[end]);
	}
	expect_sent(full[0], "more");
	expect_received(full[1], "more");
	expect(get_option(corked[0], IPPROTO_TCP, TCP_CORK), 1);
	set_option(corked[0], IPPROTO_TCP, TCP_CORK, 0);
	expect_received(corked[1], "held back");
	expect_error(recv(corked[1], &none, 1, MSG_DONTWAIT), EAGAIN);
	return pass();
}
