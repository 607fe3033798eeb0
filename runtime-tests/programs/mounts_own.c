/* Mounts that the container has made itself: tmpfs with content, a bind mount of a directory and of a file. */
#include "program.h"
#include <sys/mount.h>

int main(void)
{
	char text[64];
	must(mkdir("/data/tmpfs", 0755));
	must(mkdir("/data/bound", 0755));
	must(mkdir("/data/source", 0755));
	write_file("/data/target", "hidden");
	must(mount("own", "/data/tmpfs", "tmpfs", MS_NOSUID | MS_NOEXEC, "size=1m,mode=0711"));
	write_file("/data/tmpfs/file", "on tmpfs");
	write_file("/data/source/file", "source");
	must(mount("/data/source", "/data/bound", NULL, MS_BIND, NULL));
	must(mount("/data/source/file", "/data/target", NULL, MS_BIND, NULL));
	must(mount(NULL, "/data/target", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL));
	must(mkdir("/data/closed", 0755));
	must(mount("closed", "/data/closed", "tmpfs", 0, NULL));
	write_file("/data/closed/file", "closed");
	must(mount(NULL, "/data/closed", NULL, MS_REMOUNT | MS_RDONLY, NULL));
	int fd = must(open("/data/tmpfs/file", O_RDWR));

	hold();

	expect_text(read_file("/data/tmpfs/file", text, sizeof text), "on tmpfs");
	expect(write(fd, "ON", 2), 2);
	expect_text(read_file("/data/tmpfs/file", text, sizeof text), "ON tmpfs");
	expect_text(read_file("/data/bound/file", text, sizeof text), "source");
	expect_text(read_file("/data/target", text, sizeof text), "source");
	expect_error(open("/data/target", O_WRONLY), EROFS);
	expect_text(read_file("/data/closed/file", text, sizeof text), "closed");
	expect_error(open("/data/closed/new", O_WRONLY | O_CREAT, 0600), EROFS);
	close(fd);
	must(umount("/data/tmpfs"));
	expect_error(access("/data/tmpfs/file", F_OK), ENOENT);
	must(umount("/data/target"));
	expect_text(read_file("/data/target", text, sizeof text), "hidden");
	return pass();
}
