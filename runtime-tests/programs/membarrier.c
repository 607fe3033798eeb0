/* Registrations for membarrier. */
#include "program.h"
#include <linux/membarrier.h>

static long membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0);
}

int main(void)
{
	expect_error(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED), EPERM);
	must(membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED));
	must(membarrier(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED));

	hold();

	must(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED));
	expect_error(membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE), EPERM);
	/* MEMBARRIER_CMD_GET_REGISTRATIONS is newer than the headers, and than Linux 6.2. */
	long registrations = membarrier(1 << 9);
	if (registrations != -1 || errno != EINVAL)
		expect(registrations,
		       MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED | MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED);
	return pass();
}
