/* eventfd as a semaphore: each read takes one. With other counters, and beside some that are none, one of them on its way. */
#include "program.h"
#include <sys/eventfd.h>
#include <sys/socket.h>

static const uint64_t counters[] = { 0, 1, 2, 3, 0x100000001 };

static void expect_empty(int fd)
{
	uint64_t value;
	expect_error(eventfd_read(fd, &value), EAGAIN);
}

static void expect_events(int fd, uint64_t expected)
{
	uint64_t value;
	must(eventfd_read(fd, &value));
	expect(value, expected);
}

static int make(uint64_t counter, int flags)
{
	int made = must(eventfd(0, EFD_NONBLOCK | flags));
	must(eventfd_write(made, counter));
	return made;
}

int main(void)
{
	int semaphores[COUNT(counters)], others[COUNT(counters)], sockets[2];
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 0;
	struct iovec data = { &byte, 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof control };
	for (size_t at = 0; at < COUNT(counters); at++) {
		semaphores[at] = make(counters[at], EFD_SEMAPHORE);
		others[at] = make(counters[at], 0);
	}
	int waits = must(eventfd(2, EFD_SEMAPHORE)), passed = make(2, EFD_SEMAPHORE);
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets));
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof passed);
	memcpy(CMSG_DATA(header), &passed, sizeof passed);
	must(sendmsg(sockets[0], &message, 0));
	close(passed);

	hold();

	for (size_t at = 0; at < COUNT(counters); at++) {
		uint64_t few = counters[at] < 4 ? counters[at] : 4;
		for (uint64_t taken = 0; taken < few; taken++)
			expect_events(semaphores[at], 1);
		if (few == counters[at])
			expect_empty(semaphores[at]);
		if (counters[at] > 0)
			expect_events(others[at], counters[at]);
		expect_empty(others[at]);
	}
	expect_events(waits, 1);
	expect_events(waits, 1);
	must(recvmsg(sockets[1], &message, MSG_DONTWAIT));
	header = CMSG_FIRSTHDR(&message);
	if (header == NULL)
		fail("no descriptor has come");
	memcpy(&passed, CMSG_DATA(header), sizeof passed);
	expect_events(passed, 1);
	expect_events(passed, 1);
	expect_empty(passed);
	return pass();
}
