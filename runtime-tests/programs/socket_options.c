/* Options of sockets that CRIU's images have no place for, and multicast groups with and without sources. */
#include "program.h"
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

struct number {
	int *fd, level, name, value;
};

static int listener, v4, v6, pair[2], route;

static const struct number numbers[] = {
	{ &listener, IPPROTO_TCP, TCP_USER_TIMEOUT, 12345 },
	{ &listener, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 4321 },
	{ &listener, IPPROTO_TCP, TCP_SYNCNT, 3 },
	{ &listener, IPPROTO_TCP, TCP_FASTOPEN, 16 },
	{ &v4, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO },
	{ &v4, IPPROTO_IP, IP_RECVERR, 1 },
	{ &v4, IPPROTO_IP, IP_RECVTTL, 1 },
	{ &v4, IPPROTO_IP, IP_MULTICAST_TTL, 7 },
	{ &v4, IPPROTO_IP, IP_MULTICAST_ALL, 0 },
	{ &v4, IPPROTO_IP, IP_MULTICAST_IF, 0x0100007f },
	{ &v4, SOL_SOCKET, SO_TIMESTAMPNS, 1 },
	{ &v6, IPPROTO_IPV6, IPV6_TCLASS, 0x20 },
	{ &v6, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 9 },
	{ &v6, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1 },
	{ &v6, IPPROTO_IP, IP_TOS, 0x10 },
	{ &pair[0], SOL_SOCKET, SO_TIMESTAMP, 1 },
	{ &pair[1], SOL_SOCKET, SO_PEEK_OFF, 5 },
	{ &route, SOL_NETLINK, NETLINK_EXT_ACK, 1 },
};

static int get(int fd, int level, int name)
{
	int value = 0;
	socklen_t length = sizeof value;
	must(getsockopt(fd, level, name, &value, &length));
	return value;
}

static void check(void)
{
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		expect(get(*numbers[i].fd, numbers[i].level, numbers[i].name), numbers[i].value);
}

static struct sockaddr_storage v4_address(const char *text)
{
	struct sockaddr_storage address = { .ss_family = AF_INET };
	must(inet_pton(AF_INET, text, &((struct sockaddr_in *)&address)->sin_addr) == 1 ? 0 : -1);
	return address;
}

static int sources(int fd, int level, struct sockaddr_storage group, unsigned *mode)
{
	struct {
		struct group_filter filter;
		struct sockaddr_storage more[3];
	} answer = { .filter = { .gf_interface = 1, .gf_group = group, .gf_numsrc = 4 } };
	socklen_t length = sizeof answer;
	must(getsockopt(fd, level, MCAST_MSFILTER, &answer, &length));
	*mode = answer.filter.gf_fmode;
	return answer.filter.gf_numsrc;
}

int main(void)
{
	struct sockaddr_storage group = v4_address("239.1.2.3"), picked = v4_address("232.1.2.3"), group6 = { .ss_family = AF_INET6 };
	must(inet_pton(AF_INET6, "ff12::77", &((struct sockaddr_in6 *)&group6)->sin6_addr) == 1 ? 0 : -1);
	listener = must(socket(AF_INET, SOCK_STREAM, 0));
	v4 = must(socket(AF_INET, SOCK_DGRAM, 0));
	v6 = must(socket(AF_INET6, SOCK_DGRAM, 0));
	route = must(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
	must(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons(9100) };
	must(bind(listener, (struct sockaddr *)&here, sizeof here));
	must(listen(listener, 5));
	must(bind(v4, (struct sockaddr *)&here, sizeof here));
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		must(setsockopt(*numbers[i].fd, numbers[i].level, numbers[i].name, &numbers[i].value, sizeof(int)));
	struct group_req every = { .gr_interface = 1, .gr_group = group }, every6 = { .gr_interface = 1, .gr_group = group6 };
	struct group_source_req some = { .gsr_interface = 1, .gsr_group = picked, .gsr_source = v4_address("192.0.2.1") };
	must(setsockopt(v4, IPPROTO_IP, MCAST_JOIN_GROUP, &every, sizeof every));
	must(setsockopt(v4, IPPROTO_IP, MCAST_JOIN_SOURCE_GROUP, &some, sizeof some));
	must(setsockopt(v6, IPPROTO_IPV6, MCAST_JOIN_GROUP, &every6, sizeof every6));
	check();

	hold();

	check();
	unsigned mode;
	expect(sources(v4, IPPROTO_IP, group, &mode), 0);
	expect(mode, MCAST_EXCLUDE);
	expect(sources(v4, IPPROTO_IP, picked, &mode), 1);
	expect(mode, MCAST_INCLUDE);
	expect(sources(v6, IPPROTO_IPV6, group6, &mode), 0);
	/* A group that was joined cannot be joined once more; what is sent to it arrives. */
	expect(setsockopt(v4, IPPROTO_IP, MCAST_JOIN_GROUP, &every, sizeof every), -1);
	expect(errno, EADDRINUSE);
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9100), .sin_addr = ((struct sockaddr_in *)&group)->sin_addr };
	char text[8];
	expect(sendto(v4, "hello", 5, 0, (struct sockaddr *)&to, sizeof to), 5);
	expect(recv(v4, text, sizeof text, 0), 5);
	return pass();
}
