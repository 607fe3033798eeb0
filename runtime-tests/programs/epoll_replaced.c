/* epoll that watches what has another number now: a descriptor that was copied and closed, and whose number is reused. */
#include "program.h"
#include <sys/epoll.h>

int main(void)
{
	int first[2], second[2];
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = 1 };
	int epoll = must(epoll_create1(0));
	must(pipe(first));
	must(pipe(second));
	must(epoll_ctl(epoll, EPOLL_CTL_ADD, first[0], &event));
	int copy = must(fcntl(first[0], F_DUPFD, 50));
	/* The number is the other pipe's now, but what is watched lives on in the copy. */
	must(dup2(second[0], first[0]));
	event.data.u64 = 2;
	must(epoll_ctl(epoll, EPOLL_CTL_ADD, first[0], &event));

	hold();

	struct epoll_event events[4];
	expect(must(epoll_wait(epoll, events, COUNT(events), 0)), 0);
	expect(write(first[1], "x", 1), 1);
	expect(must(epoll_wait(epoll, events, COUNT(events), 0)), 1);
	expect(events[0].data.u64, 1);
	char byte;
	expect(read(copy, &byte, 1), 1);
	expect(write(second[1], "x", 1), 1);
	expect(must(epoll_wait(epoll, events, COUNT(events), 0)), 1);
	expect(events[0].data.u64, 2);
	return pass();
}
