/* Connections of TCP of a container with itself. */
#ifndef TCP_H
#define TCP_H

#include "program.h"
#include <arpa/inet.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static inline int get_option(int fd, int level, int option)
{
	int value = -1;
	socklen_t length = sizeof value;
	must(getsockopt(fd, level, option, &value, &length));
	return value;
}

static inline void set_option(int fd, int level, int option, int value)
{
	must(setsockopt(fd, level, option, &value, sizeof value));
}

/* The loopback address; AF_INET6 with `mapped` is that of IPv4 as an IPv6 socket has it. */
static inline socklen_t loopback(int family, bool mapped, int port, struct sockaddr_storage *address)
{
	*address = (struct sockaddr_storage){ 0 };
	if (family == AF_INET) {
		struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
		memcpy(address, &v4, sizeof v4);
		return sizeof v4;
	}
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_loopback };
	if (mapped)
		must(inet_pton(AF_INET6, "::ffff:127.0.0.1", &v6.sin6_addr));
	memcpy(address, &v6, sizeof v6);
	return sizeof v6;
}

/* A socket that listens at a loopback address. */
static inline int listen_at(int family, bool mapped, int port)
{
	struct sockaddr_storage address;
	socklen_t length = loopback(family, mapped, port, &address);
	int listener = must(socket(family, SOCK_STREAM, 0));
	set_option(listener, SOL_SOCKET, SO_REUSEADDR, 1);
	must(bind(listener, (struct sockaddr *)&address, length));
	must(listen(listener, 8));
	return listener;
}

/* Both ends of a connection: the first has connected, the second was accepted. */
static inline void connect_to(int listener, int pair[2])
{
	struct sockaddr_storage address;
	socklen_t length = sizeof address;
	must(getsockname(listener, (struct sockaddr *)&address, &length));
	pair[0] = must(socket(address.ss_family, SOCK_STREAM, 0));
	must(connect(pair[0], (struct sockaddr *)&address, length));
	pair[1] = must(accept(listener, NULL, NULL));
}

static inline void connect_pair(int family, bool mapped, int port, int pair[2])
{
	int listener = listen_at(family, mapped, port);
	connect_to(listener, pair);
	close(listener);
}

static inline int tcp_state(int fd)
{
	struct tcp_info info;
	socklen_t length = sizeof info;
	must(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length));
	return info.tcpi_state;
}

/* What is on its way needs its time. */
static inline void wait_for_tcp_state(int fd, int state)
{
	for (int tries = 0; tcp_state(fd) != state; tries++) {
		if (tries > 10000)
			fail("fd %d: expected TCP state %d, found %d", fd, state, tcp_state(fd));
		pause_ms(1);
	}
}

/* Lets a socket lose whatever comes for it. */
static inline void lose(int fd)
{
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog filter = { .len = 1, .filter = &nothing };
	must(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter));
}

static inline void lose_no_more(int fd)
{
	set_option(fd, SOL_SOCKET, SO_DETACH_FILTER, 0);
}

#define expect_sent(fd, text) expect(write(fd, text, strlen(text)), strlen(text))

/* Reads as many bytes as the text has, and compares. */
#define expect_received(fd, expected)                                                                                 \
	do {                                                                                                          \
		char text_[256] = "";                                                                                 \
		expect(recv(fd, text_, strlen(expected), MSG_WAITALL), strlen(expected));                             \
		expect_text(text_, expected);                                                                         \
	} while (0)

#define expect_end(fd)                                                                                                \
	do {                                                                                                          \
		char byte_;                                                                                           \
		expect(read(fd, &byte_, 1), 0);                                                                       \
	} while (0)

#endif
