/* A file lock, without --file-locks. */
#include "../program.h"
#include <sys/file.h>

int main(void)
{
	int fd = must(open("/data/locked", O_RDWR | O_CREAT, 0600)), other = must(open("/data/locked", O_RDWR));
	must(flock(fd, LOCK_EX));

	hold();

	expect_error(flock(other, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	return pass();
}
