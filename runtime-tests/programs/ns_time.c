/* A time namespace with offsets: its clocks go on from where they were. */
#include "program.h"

int main(void)
{
	char found[256];
	long long monotonic = now(CLOCK_MONOTONIC), boot = now(CLOCK_BOOTTIME), start = now(CLOCK_REALTIME);
	/* config.json says a million and two million seconds. */
	expect_between(monotonic, 1000000 * SECOND, 2000000 * SECOND);
	expect_between(boot, 2000000 * SECOND, 3000000 * SECOND);

	hold();

	long long passed = now(CLOCK_REALTIME) - start;
	expect_between(now(CLOCK_MONOTONIC) - monotonic, 0, passed + 100 * MILLISECOND);
	expect_between(now(CLOCK_BOOTTIME) - boot, 0, passed + 100 * MILLISECOND);
	read_file("/proc/uptime", found, sizeof found);
	expect_between(atof(found), 2000000, 3000000);
	return pass();
}
