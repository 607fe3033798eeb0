/* A file whose name is gone but which has another, and it stays so. */
#include "../program.h"

int main(void)
{
	struct stat status;
	int fd = must(open("/data/one", O_RDWR | O_CREAT, 0600));
	must(link("/data/one", "/data/two"));
	must(unlink("/data/one"));

	hold();

	must(fstat(fd, &status));
	expect(status.st_nlink, 1);
	return pass();
}
