/* epoll: what is watched, with which flags and data; a descriptor that was replaced, an epoll in an epoll. */
#include "program.h"
#include <sys/epoll.h>

static void add(int epoll, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = { .events = events, .data.u64 = data };
	must(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

/* The data of the one event that is ready, or 0. */
static uint64_t ready(int epoll)
{
	struct epoll_event events[4];
	long count = must(epoll_wait(epoll, events, COUNT(events), 0));
	if (count > 1)
		fail("%ld events", count);
	return count == 0 ? 0 : events[0].data.u64;
}

int main(void)
{
	int level[2], edge[2], once[2], writable[2], nested[2];
	int epoll = must(epoll_create1(EPOLL_CLOEXEC));
	must(pipe(level));
	must(pipe(edge));
	must(pipe(once));
	must(pipe(writable));
	must(pipe(nested));
	add(epoll, level[0], EPOLLIN, 0x1111111122222222);
	add(epoll, edge[0], EPOLLIN | EPOLLET, 2);
	add(epoll, once[0], EPOLLIN | EPOLLONESHOT, 3);
	/* Has fired, is off. */
	expect(write(once[1], "x", 1), 1);
	expect(ready(epoll), 3);
	expect(ready(epoll), 0);
	int inner = must(epoll_create1(0));
	add(inner, nested[0], EPOLLIN, 5);
	add(epoll, inner, EPOLLIN, 4);
	int empty = must(epoll_create1(0));

	hold();

	expect(fcntl(epoll, F_GETFD), FD_CLOEXEC);
	expect(ready(epoll), 0);
	expect(ready(empty), 0);
	expect(write(level[1], "x", 1), 1);
	expect(ready(epoll), 0x1111111122222222);
	expect(ready(epoll), 0x1111111122222222);
	char byte;
	expect(read(level[0], &byte, 1), 1);
	expect(ready(epoll), 0);
	expect(write(edge[1], "x", 1), 1);
	expect(ready(epoll), 2);
	expect(ready(epoll), 0);
	struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT, .data.u64 = 33 };
	must(epoll_ctl(epoll, EPOLL_CTL_MOD, once[0], &event));
	expect(ready(epoll), 33);
	expect(ready(epoll), 0);
	expect(write(nested[1], "x", 1), 1);
	expect(ready(epoll), 4);
	expect(ready(inner), 5);
	must(epoll_ctl(epoll, EPOLL_CTL_DEL, inner, NULL));
	expect_error(epoll_ctl(epoll, EPOLL_CTL_ADD, level[0], &event), EEXIST);
	return pass();
}
