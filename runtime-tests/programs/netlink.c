/* A route netlink socket: its number, its groups, and that it still answers. */
#include "program.h"
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

int main(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_pid = 4321, .nl_groups = RTMGRP_LINK }, found;
	int fd = must(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
	must(bind(fd, (struct sockaddr *)&address, sizeof address));

	hold();

	socklen_t length = sizeof found;
	must(getsockname(fd, (struct sockaddr *)&found, &length));
	expect(found.nl_pid, 4321);
	expect(found.nl_groups, RTMGRP_LINK);
	struct {
		struct nlmsghdr header;
		struct rtgenmsg message;
	} request = { { sizeof request, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 7, 0 }, { AF_UNSPEC } };
	char answer[8192];
	expect(must(send(fd, &request, sizeof request, 0)), sizeof request);
	expect_between(must(recv(fd, answer, sizeof answer, 0)), sizeof(struct nlmsghdr), sizeof answer);
	expect(((struct nlmsghdr *)answer)->nlmsg_type, RTM_NEWLINK);
	expect(((struct nlmsghdr *)answer)->nlmsg_seq, 7);
	return pass();
}
