/* A limit of descriptors below what is open: no more can be made in the task, and those that are open stay. */
#include "program.h"
#include <sys/resource.h>

int main(void)
{
	struct rlimit limit = { 2, 4 }, found;
	for (int fd = 10; fd < 20; fd++)
		must(fcntl(0, F_DUPFD, fd));
	must(setrlimit(RLIMIT_NOFILE, &limit));
	/* hold() opens a file. */
	expect_error(dup(0), EMFILE);
	close(1);

	hold();

	must(getrlimit(RLIMIT_NOFILE, &found));
	expect(found.rlim_cur, 2);
	expect(found.rlim_max, 4);
	expect(fcntl(1, F_GETFD), -1);
	for (int fd = 10; fd < 20; fd++)
		must(fcntl(fd, F_GETFD));
	expect_error(fcntl(0, F_DUPFD, 5), EINVAL);
	return pass();
}
