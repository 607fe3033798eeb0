/* Private mappings of files: clean pages are the file's, changed ones are the program's; beyond the end, of a removed one. */
#include "program.h"

#define PAGE 4096

int main(void)
{
	unsigned char content[10 * PAGE + 100];
	fill(content, sizeof content, 1);
	int fd = must(open("/tmp/mapped", O_RDWR | O_CREAT, 0600));
	expect(write(fd, content, sizeof content), sizeof content);
	unsigned char *whole = must_map(mmap(NULL, 11 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
	unsigned char *part = must_map(mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, fd, 3 * PAGE));
	unsigned char *beyond = must_map(mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 10 * PAGE));
	close(fd);
	fill(whole + 2 * PAGE, PAGE, 2);
	fill(whole + 7 * PAGE, 10, 3);
	/* Read, so there, but not changed. */
	expect_bytes(whole, content, PAGE);
	beyond[50] = 0x55;
	fd = must(open("/tmp/removed", O_RDWR | O_CREAT, 0600));
	expect(write(fd, content, 2 * PAGE), 2 * PAGE);
	unsigned char *removed = must_map(mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
	close(fd);
	must(unlink("/tmp/removed"));
	fill(removed + PAGE, 100, 4);

	hold();

	fill(content + 2 * PAGE, PAGE, 2);
	fill(content + 7 * PAGE, 10, 3);
	expect_bytes(whole, content, sizeof content);
	expect(is_zero(whole + sizeof content, 11 * PAGE - sizeof content), true);
	fill(content, sizeof content, 1);
	expect_bytes(part, content + 3 * PAGE, 2 * PAGE);
	expect(beyond[50], 0x55);
	beyond[50] = content[10 * PAGE + 50];
	expect_bytes(beyond, content + 10 * PAGE, 100);
	expect_bytes(removed, content, PAGE);
	expect_bytes(removed + PAGE + 100, content + PAGE + 100, PAGE - 100);
	expect_filled(removed + PAGE, 100, 4);
	/* Clean pages still are the file's. */
	fd = must(open("/tmp/mapped", O_RDWR));
	expect(pwrite(fd, "news", 4, 4 * PAGE), 4);
	expect_bytes(part + PAGE, "news", 4);
	expect_bytes(whole + 4 * PAGE, "news", 4);
	/* Changed ones are not in it. */
	unsigned char found[PAGE];
	expect(pread(fd, found, PAGE, 2 * PAGE), PAGE);
	expect_bytes(found, content + 2 * PAGE, PAGE);
	/* And what is given back is the file's again. */
	must(madvise(whole + 2 * PAGE, PAGE, MADV_DONTNEED));
	expect_bytes(whole + 2 * PAGE, content + 2 * PAGE, PAGE);
	return pass();
}
