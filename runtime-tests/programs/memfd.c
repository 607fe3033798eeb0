/* memfd: content, seals, size, name, position, two descriptors of one file, a mapping, one that is only mapped. */
#include "program.h"
#include <linux/memfd.h>

#define PAGE 4096

int main(void)
{
	unsigned char content[3 * PAGE];
	char link[64] = "";
	fill(content, sizeof content, 1);
	int fd = must(memfd_create("one", MFD_ALLOW_SEALING | MFD_CLOEXEC));
	expect(write(fd, content, sizeof content), sizeof content);
	must(lseek(fd, 1000, SEEK_SET));
	int copy = must(dup(fd));
	must(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK));
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int reopened = must(open(path, O_RDONLY));
	unsigned char *mapped = must_map(mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	int sealed = must(memfd_create("two", MFD_ALLOW_SEALING));
	expect(write(sealed, "sealed", 6), 6);
	must(fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL));
	int unsealable = must(memfd_create("three", 0));
	must(ftruncate(unsealable, 5000));
	int gone = must(memfd_create("four", 0));
	must(ftruncate(gone, PAGE));
	unsigned char *private = must_map(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, gone, 0));
	unsigned char *shared = must_map(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, gone, 0));
	close(gone);
	fill(shared, PAGE, 2);
	private[7] = 0x77;

	hold();

	expect_bytes(mapped, content, sizeof content);
	expect(lseek(fd, 0, SEEK_CUR), 1000);
	/* The copy has the same position, the reopened one its own. */
	must(lseek(fd, 2000, SEEK_SET));
	expect(lseek(copy, 0, SEEK_CUR), 2000);
	expect(lseek(reopened, 0, SEEK_CUR), 0);
	expect(fcntl(reopened, F_GETFL) & O_ACCMODE, O_RDONLY);
	expect(fcntl(fd, F_GETFD), FD_CLOEXEC);
	expect(fcntl(copy, F_GETFD), 0);
	expect(fcntl(fd, F_GET_SEALS), F_SEAL_GROW | F_SEAL_SHRINK);
	expect_error(ftruncate(fd, 0), EPERM);
	must(readlink(path, link, sizeof link));
	expect_text(link, "/memfd:one (deleted)");
	mapped[10] = 0xaa;
	unsigned char byte;
	expect(pread(reopened, &byte, 1, 10), 1);
	expect(byte, 0xaa);
	char text[8] = "";
	expect(pread(sealed, text, 7, 0), 6);
	expect_text(text, "sealed");
	expect_error(write(sealed, "x", 1), EPERM);
	expect(fcntl(sealed, F_GET_SEALS), F_SEAL_WRITE | F_SEAL_SEAL);
	expect(fcntl(unsealable, F_GET_SEALS), F_SEAL_SEAL);
	expect(lseek(unsealable, 0, SEEK_END), 5000);
	expect_filled(shared, PAGE, 2);
	expect(private[7], 0x77);
	expect(private[8], shared[8]);
	return pass();
}
