/* The container's cgroup is the root that it sees. */
#include "program.h"

/* A host may have cgroup v1 beside it, of which nothing is expected. */
static void expect_root(void)
{
	char text[4096];
	read_file("/proc/self/cgroup", text, sizeof text);
	if (strstr(text, "0::/\n") == NULL)
		fail("this is not the root of a cgroup namespace: %s", text);
}

int main(void)
{
	expect_root();

	hold();

	expect_root();
	/* It is the one at /sys/fs/cgroup: this process is a member. */
	char text[256];
	read_file("/sys/fs/cgroup/cgroup.procs", text, sizeof text);
	expect(atoi(text), getpid());
	return pass();
}
