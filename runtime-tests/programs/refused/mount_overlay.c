/* A file system that the container has mounted itself, and that is made of others. */
#include "../program.h"
#include <sys/mount.h>

int main(void)
{
	must(mkdir("/data/one", 0755));
	must(mkdir("/data/other", 0755));
	must(mkdir("/data/both", 0755));
	must(mount("both", "/data/both", "overlay", 0, "lowerdir=/data/one:/data/other"));
	hold();
	must(umount("/data/both"));
	return pass();
}
