/* eventfd with counters of more than 32 bits, up to the largest. */
#include "program.h"
#include <sys/eventfd.h>

int main(void)
{
	uint64_t value;
	int large = must(eventfd(0x23456789, EFD_NONBLOCK)), full = must(eventfd(0, EFD_NONBLOCK));
	must(eventfd_write(large, 0x1000000000));
	must(eventfd_write(full, 0xfffffffffffffffe));

	hold();

	must(eventfd_read(large, &value));
	expect(value, 0x1023456789);
	expect_error(eventfd_write(full, 1), EAGAIN);
	must(eventfd_read(full, &value));
	expect(value, 0xfffffffffffffffe);
	return pass();
}
