/* A counter of the kernel's. */
#include "../program.h"
#include <linux/perf_event.h>

int main(void)
{
	struct perf_event_attr attributes = { .type = PERF_TYPE_SOFTWARE, .size = sizeof attributes,
					      .config = PERF_COUNT_SW_DUMMY, .exclude_kernel = 1, .exclude_hv = 1 };
	int fd = must(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0));
	uint64_t count;

	hold();

	expect(read(fd, &count, sizeof count), sizeof count);
	return pass();
}
