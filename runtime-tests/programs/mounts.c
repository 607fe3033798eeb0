/* The mounts of the container, as it sees them, and what can be done with them. */
#include "program.h"

#define MOUNTS 64

/* Root, mount point, options, kind, source and superblock options of each mount; numbers may change. */
static int read_mounts(char mounts[MOUNTS][512])
{
	static char text[65536];
	int count = 0;
	read_file("/proc/self/mountinfo", text, sizeof text);
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		char *rest = line;
		/* Mount, parent, device. */
		for (int field = 0; field < 3; field++)
			rest = strchr(rest, ' ') + 1;
		char *optional = strstr(rest, " - ");
		if (optional == NULL || count == MOUNTS)
			fail("mountinfo: %s", line);
		snprintf(mounts[count++], 512, "%s", rest);
	}
	return count;
}

int main(void)
{
	static char before[MOUNTS][512], after[MOUNTS][512];
	int count = read_mounts(before);
	expect_between(count, 8, MOUNTS);

	hold();

	int found = read_mounts(after);
	for (int at = 0; at < count; at++) {
		bool there = false;
		for (int other = 0; other < found; other++)
			there = there || strcmp(before[at], after[other]) == 0;
		if (!there)
			fail("a mount is gone or has changed: %s", before[at]);
	}
	expect(found, count);
	expect_error(open("/data/read-only/file", O_WRONLY | O_CREAT, 0600), EROFS);
	must(access("/data/read-only/ready", F_OK));
	/* Masked and read-only paths. */
	char byte;
	int fd = must(open("/proc/keys", O_RDONLY));
	expect(read(fd, &byte, 1), 0);
	expect_error(open("/proc/sys/kernel/hostname", O_WRONLY), EROFS);
	must(access("/proc/self/status", F_OK));
	must(access("/dev/pts/ptmx", F_OK));
	must(access("/sys/kernel", F_OK));
	return pass();
}
