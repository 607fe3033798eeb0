/* A command line and an environment that the program has written over, as setproctitle does. */
#include "program.h"

int main(int argc, char **argv, char **environment)
{
	char text[256] = "", found[256], path[64];
	expect(argc, 1);
	must(readlink("/proc/self/exe", path, sizeof path));
	memcpy(argv[0], "changed", strlen("changed"));
	memcpy(environment[0], "HTAP", 4);
	int before = 0, after = 0, fd = must(open("/proc/self/cmdline", O_RDONLY));
	before = must(read(fd, text, sizeof text));
	close(fd);
	/* `/bin/command_line` */
	expect_text(text, "changedmmand_line");

	hold();

	fd = must(open("/proc/self/cmdline", O_RDONLY));
	after = must(read(fd, found, sizeof found));
	close(fd);
	expect(after, before);
	expect_bytes(found, text, before);
	fd = must(open("/proc/self/environ", O_RDONLY));
	must(read(fd, found, sizeof found));
	close(fd);
	expect_bytes(found, "HTAP=/bin", 9);
	char link[64] = "";
	must(readlink("/proc/self/exe", link, sizeof link));
	expect_text(link, "/bin/command_line");
	/* The auxiliary vector is the kernel's copy. */
	unsigned long auxiliary[64];
	fd = must(open("/proc/self/auxv", O_RDONLY));
	int size = must(read(fd, auxiliary, sizeof auxiliary));
	close(fd);
	expect_between(size, 16 * 10, sizeof auxiliary - 1);
	return pass();
}
