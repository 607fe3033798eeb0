/* A user namespace: its maps, the ids of files and processes as seen inside, and what they may do. */
#include "program.h"

int main(void)
{
	struct stat status;
	char users[256], groups[256], found[256];
	write_file("/data/own", "");
	read_file("/proc/self/uid_map", users, sizeof users);
	read_file("/proc/self/gid_map", groups, sizeof groups);
	unsigned inside, outside, count;
	expect(sscanf(users, "%u %u %u", &inside, &outside, &count), 3);
	expect(outside, 100000);
	pid_t child = must(fork());
	if (child == 0) {
		must(setgid(1000));
		must(setuid(1000));
		wait_for_sigterm();
		expect(getuid(), 1000);
		expect(getgid(), 1000);
		expect_error(setuid(0), EPERM);
		_exit(0);
	}

	hold();

	expect_text(read_file("/proc/self/uid_map", found, sizeof found), users);
	expect_text(read_file("/proc/self/gid_map", found, sizeof found), groups);
	expect(getuid(), 0);
	expect(geteuid(), 0);
	must(stat("/data/own", &status));
	expect(status.st_uid, 0);
	must(chown("/data/own", 5, 6));
	must(kill(child, SIGTERM));
	expect_success(child);
	return pass();
}
