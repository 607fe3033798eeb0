/* packet(7) sockets: protocols, devices, options, memberships, a filter, a fanout group, and rings that are mapped. */
#include "program.h"
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

/* For experiments, IEEE 802. */
#define PROTOCOL 0x88b5
#define OTHER 0x88b6
#define BLOCK 4096
#define BLOCKS 4
#define FRAME 2048

static int lo;

static struct sockaddr_ll address(int protocol)
{
	return (struct sockaddr_ll){ .sll_family = AF_PACKET, .sll_protocol = htons(protocol), .sll_ifindex = lo };
}

static int bound(int kind, int protocol)
{
	struct sockaddr_ll to = address(protocol);
	int fd = must(socket(AF_PACKET, kind | SOCK_NONBLOCK, 0));
	must(bind(fd, (struct sockaddr *)&to, sizeof to));
	return fd;
}

static void option(int fd, int name, int value)
{
	must(setsockopt(fd, SOL_PACKET, name, &value, sizeof value));
}

static int value(int fd, int name)
{
	int value = 0;
	socklen_t length = sizeof value;
	must(getsockopt(fd, SOL_PACKET, name, &value, &length));
	return value;
}

static void expect_bound(int fd, int protocol, int device)
{
	struct sockaddr_ll found;
	socklen_t length = sizeof found;
	must(getsockname(fd, (struct sockaddr *)&found, &length));
	expect(ntohs(found.sll_protocol), protocol);
	expect(found.sll_ifindex, device);
}

static void expect_readable(int fd, int expected)
{
	struct pollfd event = { .fd = fd, .events = POLLIN };
	expect(must(poll(&event, 1, expected ? 20000 : 0)), expected);
}

static void send_words(int protocol, const char *words)
{
	struct sockaddr_ll to = address(protocol);
	int fd = must(socket(AF_PACKET, SOCK_DGRAM, 0));
	expect(sendto(fd, words, strlen(words), 0, (struct sockaddr *)&to, sizeof to), strlen(words));
	close(fd);
}

static void expect_words(int fd, const char *words)
{
	char text[64] = "";
	expect_readable(fd, 1);
	expect(must(recv(fd, text, sizeof text, 0)), strlen(words));
	expect_text(text, words);
}

static void make_ring(int fd, int which)
{
	struct tpacket_req ring = { BLOCK, BLOCKS, FRAME, BLOCKS * BLOCK / FRAME };
	must(setsockopt(fd, SOL_PACKET, which, &ring, sizeof ring));
}

int main(void)
{
	lo = must(if_nametoindex("lo"));

	int plain = must(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
	must(fcntl(plain, F_SETOWN, getpid()));
	must(fcntl(plain, F_SETFL, O_ASYNC));
	int all = must(socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ALL)));

	int with_options = bound(SOCK_DGRAM, PROTOCOL);
	option(with_options, PACKET_AUXDATA, 1);
	option(with_options, PACKET_ORIGDEV, 1);
	option(with_options, PACKET_TIMESTAMP, 1 << 6);
	option(with_options, PACKET_COPY_THRESH, 100);
	struct packet_mreq promiscuous = { .mr_ifindex = lo, .mr_type = PACKET_MR_PROMISC };
	struct packet_mreq group = { .mr_ifindex = lo, .mr_type = PACKET_MR_MULTICAST, .mr_alen = 6,
				     .mr_address = { 1, 0, 0x5e, 1, 2, 3 } };
	must(setsockopt(with_options, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous));
	must(setsockopt(with_options, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &group, sizeof group));

	/* Only what begins with an x. */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 'x', 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 65535),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = { COUNT(code), code };
	int filtered = bound(SOCK_DGRAM, PROTOCOL);
	must(setsockopt(filtered, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));

	int members[2];
	for (size_t nth = 0; nth < COUNT(members); nth++) {
		members[nth] = bound(SOCK_DGRAM, PROTOCOL);
		option(members[nth], PACKET_FANOUT, 77 | PACKET_FANOUT_LB << 16);
	}

	int ring = must(socket(AF_PACKET, SOCK_DGRAM, 0));
	option(ring, PACKET_VERSION, TPACKET_V2);
	option(ring, PACKET_RESERVE, 32);
	option(ring, PACKET_LOSS, 1);
	make_ring(ring, PACKET_RX_RING);
	make_ring(ring, PACKET_TX_RING);
	struct sockaddr_ll to = address(OTHER);
	must(bind(ring, (struct sockaddr *)&to, sizeof to));
	char *frames = must_map(mmap(NULL, 2 * BLOCKS * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, ring, 0));

	struct tpacket_req3 blocks = { BLOCK, BLOCKS, FRAME, BLOCKS * BLOCK / FRAME, .tp_retire_blk_tov = 50,
				       .tp_sizeof_priv = 16, .tp_feature_req_word = TP_FT_REQ_FILL_RXHASH };
	int blocked = must(socket(AF_PACKET, SOCK_DGRAM, 0));
	option(blocked, PACKET_VERSION, TPACKET_V3);
	must(setsockopt(blocked, SOL_PACKET, PACKET_RX_RING, &blocks, sizeof blocks));
	must(bind(blocked, (struct sockaddr *)&to, sizeof to));
	char *memory = must_map(mmap(NULL, BLOCKS * BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, blocked, 0));

	hold();

	expect(fcntl(plain, F_GETFD), FD_CLOEXEC);
	expect(fcntl(plain, F_GETOWN), getpid());
	expect(fcntl(plain, F_GETFL) & O_ASYNC, O_ASYNC);
	expect_bound(plain, 0, 0);
	expect_readable(plain, 0);
	expect_bound(all, ETH_P_ALL, 0);
	expect_bound(with_options, PROTOCOL, lo);
	expect(value(with_options, PACKET_AUXDATA), 1);
	expect(value(with_options, PACKET_ORIGDEV), 1);
	expect(value(with_options, PACKET_TIMESTAMP), 1 << 6);
	expect(value(plain, PACKET_AUXDATA), 0);
	must(setsockopt(with_options, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &promiscuous, sizeof promiscuous));
	must(setsockopt(with_options, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &group, sizeof group));
	expect(value(ring, PACKET_VERSION), TPACKET_V2);
	expect(value(ring, PACKET_RESERVE), 32);
	expect(value(ring, PACKET_LOSS), 1);
	expect(value(blocked, PACKET_VERSION), TPACKET_V3);
	expect(value(members[0], PACKET_FANOUT), 77 | PACKET_FANOUT_LB << 16);

	/* Whoever has packets by now has not seen them sent. */
	expect_readable(with_options, 0);
	expect(fcntl(filtered, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	send_words(PROTOCOL, "a word");
	send_words(PROTOCOL, "x and a word");
	expect_words(with_options, "a word");
	expect_words(with_options, "x and a word");
	expect_words(filtered, "x and a word");
	expect_readable(filtered, 0);
	/* Each of them goes to one member of the group. */
	char text[64];
	int count = 0;
	for (size_t nth = 0; nth < COUNT(members); nth++)
		while (recv(members[nth], text, sizeof text, 0) > 0)
			count++;
	expect(count, 2);
	expect_readable(all, 1);

	/* What the one ring sends the other receives, and so does the third. */
	struct tpacket2_hdr *received = (void *)frames, *sent = (void *)(frames + BLOCKS * BLOCK);
	expect(received->tp_status, TP_STATUS_KERNEL);
	memcpy((char *)sent + TPACKET2_HDRLEN - sizeof(struct sockaddr_ll), "words", 5);
	sent->tp_len = 5;
	__atomic_store_n(&sent->tp_status, TP_STATUS_SEND_REQUEST, __ATOMIC_RELEASE);
	expect(must(sendto(ring, NULL, 0, 0, (struct sockaddr *)&to, sizeof to)), 5);
	expect_readable(ring, 1);
	expect(__atomic_load_n(&received->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER, TP_STATUS_USER);
	expect(received->tp_len, 5);
	expect_bytes((char *)received + received->tp_net, "words", 5);
	expect_readable(blocked, 1);
	struct tpacket_block_desc *block = (void *)memory;
	expect(block->hdr.bh1.num_pkts, 1);
	expect(block->offset_to_priv + 16 <= block->hdr.bh1.offset_to_first_pkt, true);
	struct tpacket3_hdr *packet = (void *)(memory + block->hdr.bh1.offset_to_first_pkt);
	expect_bytes((char *)packet + packet->tp_net, "words", 5);
	return pass();
}
