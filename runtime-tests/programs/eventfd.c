/* eventfd: counters and flags. */
#include "program.h"
#include <sys/eventfd.h>

int main(void)
{
	uint64_t value;
	int counter = must(eventfd(0x23456789, 0));
	int empty = must(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
	must(eventfd_write(counter, 0x100));

	hold();

	expect(fcntl(empty, F_GETFD), FD_CLOEXEC);
	expect(fcntl(counter, F_GETFL), O_RDWR);
	expect(fcntl(empty, F_GETFL), O_RDWR | O_NONBLOCK);
	must(eventfd_read(counter, &value));
	expect(value, 0x23456889);
	expect_error(eventfd_read(empty, &value), EAGAIN);
	return pass();
}
