/* Contexts for asynchronous I/O: an empty one, and one with results that nobody has fetched, some behind the ring's end. */
#include "program.h"
#include <linux/aio_abi.h>

static long get(aio_context_t context, long least, long most, struct io_event *events)
{
	struct timespec time = { 1, 0 };
	return must(syscall(SYS_io_getevents, context, least, most, events, &time));
}

static void submit(aio_context_t context, int fd, void *buffer, long offset, unsigned long long data)
{
	struct iocb request = { .aio_data = data, .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = fd,
				.aio_buf = (unsigned long)buffer, .aio_nbytes = 16, .aio_offset = offset };
	struct iocb *requests[] = { &request };
	expect(syscall(SYS_io_submit, context, 1, requests), 1);
}

int main(void)
{
	struct io_event events[200];
	char buffer[16];
	int fd = must(memfd_create("file", 0));
	expect(write(fd, "0123456789abcdef0123", 20), 20);
	aio_context_t empty = 0, full = 0;
	must(syscall(SYS_io_setup, 300, &empty));
	must(syscall(SYS_io_setup, 8, &full));
	/* The ring has room for 127. */
	for (int nth = 0; nth < 120; nth++) {
		submit(full, fd, buffer, 0, nth);
		expect(get(full, 1, 1, events), 1);
	}
	for (int nth = 0; nth < 14; nth++)
		submit(full, fd, buffer, nth, 1000 + nth);
	submit(empty, fd, buffer, 0, 1);
	expect(get(empty, 1, 1, events), 1);

	hold();

	expect(get(full, 14, 200, events), 14);
	for (int nth = 0; nth < 14; nth++) {
		expect(events[nth].data, 1000ULL + nth);
		expect(events[nth].res, nth <= 4 ? 16 : 20 - nth);
	}
	for (int round = 0; round < 1000; round++) {
		aio_context_t context = round % 2 ? empty : full;
		submit(context, fd, buffer, 4, round);
		expect(get(context, 1, 200, events), 1);
		expect(events[0].data, (unsigned long long)round);
		expect(events[0].res, 16);
	}
	expect_bytes(buffer, "456789abcdef0123", 16);
	must(syscall(SYS_io_destroy, full));
	must(syscall(SYS_io_destroy, empty));
	expect_error(syscall(SYS_io_destroy, empty), EINVAL);
	return pass();
}
