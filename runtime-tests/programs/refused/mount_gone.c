/* A file on a mount that the container does not have any more. */
#include "../program.h"
#include <sys/mount.h>

int main(void)
{
	char text[8] = "";
	must(mkdir("/data/mount", 0755));
	must(mount("tmpfs", "/data/mount", "tmpfs", 0, NULL));
	int fd = must(open("/data/mount/file", O_RDWR | O_CREAT, 0600));
	expect(write(fd, "content", 7), 7);
	must(umount2("/data/mount", MNT_DETACH));

	hold();

	expect(pread(fd, text, sizeof text, 0), 7);
	return pass();
}
