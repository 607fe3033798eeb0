/* packet(7) sockets: options that images have no place for, and the flags of a fanout group. */
#include "program.h"
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

static const struct {
	int name, value;
} options[] = {
	{ PACKET_VNET_HDR, 1 },
	{ PACKET_TX_HAS_OFF, 1 },
	{ PACKET_QDISC_BYPASS, 1 },
	{ PACKET_IGNORE_OUTGOING, 1 },
	{ PACKET_FANOUT, 78 | (PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_ROLLOVER) << 16 },
};

int main(void)
{
	int fd = must(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL))), timestamps = 1;
	must(setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &timestamps, sizeof timestamps));
	for (size_t nth = 0; nth < COUNT(options); nth++)
		must(setsockopt(fd, SOL_PACKET, options[nth].name, &options[nth].value, sizeof(int)));

	hold();

	socklen_t length = sizeof(int);
	for (size_t nth = 0; nth < COUNT(options); nth++) {
		int found = 0;
		must(getsockopt(fd, SOL_PACKET, options[nth].name, &found, &length));
		if (found != options[nth].value)
			fail("option %d: expected %#x, found %#x", options[nth].name, options[nth].value, found);
	}
	must(getsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &timestamps, &length));
	expect(timestamps, 1);
	return pass();
}
