/* TCP connections of which one side or both have ended their direction, with data before the end, in every state that a program
 * can have open. */
#include "tcp.h"
#include <poll.h>

int main(void)
{
	int half[2], read_all[2], closed[2];
	connect_pair(AF_INET, false, 7000, half);
	connect_pair(AF_INET6, false, 7001, read_all);
	connect_pair(AF_INET, false, 7002, closed);
	expect_sent(half[0], "before");
	must(shutdown(half[0], SHUT_WR));
	expect_sent(read_all[0], "before");
	must(shutdown(read_all[0], SHUT_WR));
	expect_received(read_all[1], "before");
	expect_end(read_all[1]);
	expect_sent(read_all[1], "answer");
	/* Both have ended it. */
	expect_sent(closed[0], "there");
	expect_sent(closed[1], "back");
	must(shutdown(closed[0], SHUT_WR));
	wait_for_tcp_state(closed[1], TCP_CLOSE_WAIT);
	must(shutdown(closed[1], SHUT_WR));
	for (int pair = 0; pair < 2; pair++) {
		wait_for_tcp_state(pair ? read_all[0] : half[0], TCP_FIN_WAIT2);
		wait_for_tcp_state(pair ? read_all[1] : half[1], TCP_CLOSE_WAIT);
		wait_for_tcp_state(closed[pair], TCP_CLOSE);
	}

	hold();

	for (int pair = 0; pair < 2; pair++) {
		expect(tcp_state(pair ? read_all[0] : half[0]), TCP_FIN_WAIT2);
		expect(tcp_state(pair ? read_all[1] : half[1]), TCP_CLOSE_WAIT);
		expect(tcp_state(closed[pair]), TCP_CLOSE);
	}
	expect_received(half[1], "before");
	expect_end(half[1]);
	expect_error(send(half[0], "no", 2, MSG_NOSIGNAL), EPIPE);
	expect_sent(half[1], "after");
	expect_received(half[0], "after");
	struct pollfd events = { .fd = read_all[1], .events = POLLIN | POLLRDHUP };
	expect(poll(&events, 1, 0), 1);
	expect(events.revents, POLLIN | POLLRDHUP);
	expect_end(read_all[1]);
	expect_received(read_all[0], "answer");
	must(shutdown(read_all[1], SHUT_WR));
	expect_end(read_all[0]);
	expect_end(half[1]);
	close(half[1]);
	expect_end(half[0]);
	expect_received(closed[1], "there");
	expect_end(closed[1]);
	expect_received(closed[0], "back");
	expect_end(closed[0]);
	expect_error(send(closed[0], "no", 2, MSG_NOSIGNAL), EPIPE);
	return pass();
}
