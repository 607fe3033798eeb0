/* TCP connections of which one side has ended its direction, and the other does not know. */
#include "tcp.h"

int main(void)
{
	int first[2], last[2], both[2];
	connect_pair(AF_INET, false, 7000, first);
	connect_pair(AF_INET6, false, 7001, last);
	connect_pair(AF_INET6, true, 7002, both);
	lose(first[1]);
	expect_sent(first[0], "unheard");
	must(shutdown(first[0], SHUT_WR));
	must(shutdown(last[0], SHUT_WR));
	wait_for_tcp_state(last[1], TCP_CLOSE_WAIT);
	wait_for_tcp_state(last[0], TCP_FIN_WAIT2);
	lose(last[0]);
	expect_sent(last[1], "unheard");
	must(shutdown(last[1], SHUT_WR));
	for (int end = 0; end < 2; end++)
		lose(both[end]);
	for (int end = 0; end < 2; end++)
		must(shutdown(both[end], SHUT_WR));
	/* Both have said so at once, and one has heard it. */
	lose_no_more(both[1]);
	wait_for_tcp_state(both[1], TCP_CLOSING);

	hold();

	expect(tcp_state(first[0]), TCP_FIN_WAIT1);
	expect(tcp_state(first[1]), TCP_ESTABLISHED);
	expect(tcp_state(last[0]), TCP_FIN_WAIT2);
	expect(tcp_state(last[1]), TCP_LAST_ACK);
	expect(tcp_state(both[0]), TCP_FIN_WAIT1);
	expect(tcp_state(both[1]), TCP_CLOSING);
	lose_no_more(first[1]);
	lose_no_more(last[0]);
	lose_no_more(both[0]);
	expect_received(first[1], "unheard");
	expect_end(first[1]);
	expect_sent(first[1], "answer");
	expect_received(first[0], "answer");
	expect_received(last[0], "unheard");
	expect_end(last[0]);
	for (int end = 0; end < 2; end++)
		expect_end(both[end]);
	wait_for_tcp_state(last[1], TCP_CLOSE);
	wait_for_tcp_state(both[1], TCP_CLOSE);
	return pass();
}
