/* UDP sockets: bound, connected, shut down, with options, on both families. */
#include "program.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

static struct sockaddr_in address(int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
}

int main(void)
{
	struct sockaddr_in here = address(9000), there = address(9001), found;
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(9002), .sin6_addr = in6addr_loopback };
	int on = 1, type_of_service = 0x10, value;
	char text[16] = "";
	int first = must(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0));
	must(bind(first, (struct sockaddr *)&here, sizeof here));
	must(setsockopt(first, SOL_SOCKET, SO_BROADCAST, &on, sizeof on));
	must(setsockopt(first, IPPROTO_IP, IP_TOS, &type_of_service, sizeof type_of_service));
	int second = must(socket(AF_INET, SOCK_DGRAM, 0));
	must(bind(second, (struct sockaddr *)&there, sizeof there));
	must(connect(second, (struct sockaddr *)&here, sizeof here));
	int third = must(socket(AF_INET6, SOCK_DGRAM, 0));
	must(bind(third, (struct sockaddr *)&v6, sizeof v6));

	hold();

	socklen_t length = sizeof value;
	must(getsockopt(first, SOL_SOCKET, SO_BROADCAST, &value, &length));
	expect(value, 1);
	must(getsockopt(first, IPPROTO_IP, IP_TOS, &value, &length));
	expect(value, type_of_service);
	expect(fcntl(first, F_GETFL), O_RDWR | O_NONBLOCK);
	length = sizeof found;
	must(getpeername(second, (struct sockaddr *)&found, &length));
	expect(ntohs(found.sin_port), 9000);
	expect(write(second, "datagram", 8), 8);
	length = sizeof found;
	expect(recvfrom(first, text, sizeof text, 0, (struct sockaddr *)&found, &length), 8);
	expect(ntohs(found.sin_port), 9001);
	expect(sendto(first, "back", 4, 0, (struct sockaddr *)&found, length), 4);
	expect(read(second, text, sizeof text), 4);
	expect(sendto(third, "v6", 2, 0, (struct sockaddr *)&v6, sizeof v6), 2);
	expect(read(third, text, sizeof text), 2);
	return pass();
}
