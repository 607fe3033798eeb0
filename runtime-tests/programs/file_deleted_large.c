/* A removed file of 3 MiB. */
#include "program.h"

#define SIZE (3 << 20)

int main(void)
{
	unsigned char *content = must_map(malloc(SIZE)), *found = must_map(malloc(SIZE));
	int fd = must(open("/data/removed", O_RDWR | O_CREAT, 0600));
	fill(content, SIZE, 1);
	expect(write(fd, content, SIZE), SIZE);
	must(unlink("/data/removed"));

	hold();

	expect(pread(fd, found, SIZE, 0), SIZE);
	expect_bytes(found, content, SIZE);
	return pass();
}
