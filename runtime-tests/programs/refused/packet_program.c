/* A packet(7) socket of a group that shares its packets by a program, which nobody can read. */
#include "../program.h"
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

int main(void)
{
	struct sock_filter code[] = { BPF_STMT(BPF_RET | BPF_K, 0) };
	struct sock_fprog program = { COUNT(code), code };
	int fanout = 79 | PACKET_FANOUT_CBPF << 16, found = 0;
	socklen_t length = sizeof found;
	int fd = must(socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)));
	must(setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &fanout, sizeof fanout));
	must(setsockopt(fd, SOL_PACKET, PACKET_FANOUT_DATA, &program, sizeof program));

	hold();

	must(getsockopt(fd, SOL_PACKET, PACKET_FANOUT, &found, &length));
	expect(found, fanout);
	return pass();
}
