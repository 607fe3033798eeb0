/* Shared mappings of files: writing goes to the file and to everybody, with a read-only and a growing one. */
#include "program.h"

#define PAGE 4096

int main(void)
{
	unsigned char found[PAGE];
	int fd = must(open("/tmp/mapped", O_RDWR | O_CREAT, 0600));
	must(ftruncate(fd, 4 * PAGE));
	unsigned char *writable = must_map(mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	unsigned char *again = must_map(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 2 * PAGE));
	int read_only = must(open("/tmp/mapped", O_RDONLY));
	unsigned char *reader = must_map(mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, read_only, 0));
	close(read_only);
	fill(writable, 4 * PAGE, 1);

	hold();

	expect_filled(writable, 4 * PAGE, 1);
	expect_bytes(again, writable + 2 * PAGE, PAGE);
	fill(writable + 2 * PAGE, PAGE, 2);
	expect_filled(again, PAGE, 2);
	expect_filled(reader + 2 * PAGE, PAGE, 2);
	expect(pread(fd, found, PAGE, 2 * PAGE), PAGE);
	expect_filled(found, PAGE, 2);
	expect(pwrite(fd, "news", 4, 0), 4);
	expect_bytes(reader, "news", 4);
	/* It was opened for reading only, and stays so. */
	expect_error(mprotect(reader, PAGE, PROT_READ | PROT_WRITE), EACCES);
	must(ftruncate(fd, PAGE));
	expect_error(madvise(writable + 3 * PAGE, PAGE, MADV_POPULATE_READ), EFAULT);
	return pass();
}
