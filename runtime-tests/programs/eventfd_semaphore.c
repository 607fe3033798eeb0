/* eventfd as a semaphore: each read takes one. */
#include "program.h"
#include <sys/eventfd.h>

int main(void)
{
	uint64_t value;
	int semaphore = must(eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK));

	hold();

	for (int round = 0; round < 3; round++) {
		must(eventfd_read(semaphore, &value));
		expect(value, 1);
	}
	expect_error(eventfd_read(semaphore, &value), EAGAIN);
	return pass();
}
