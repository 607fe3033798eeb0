/* The container's cgroup is the root that it sees. */
#include "program.h"

int main(void)
{
	char before[256], after[256];
	read_file("/proc/self/cgroup", before, sizeof before);
	if (strstr(before, "0::/\n") == NULL)
		fail("not in a cgroup namespace: %s", before);

	hold();

	expect_text(read_file("/proc/self/cgroup", after, sizeof after), before);
	/* It is the one at /sys/fs/cgroup: this process is a member. */
	char text[256];
	read_file("/sys/fs/cgroup/cgroup.procs", text, sizeof text);
	expect(atoi(text), getpid());
	return pass();
}
