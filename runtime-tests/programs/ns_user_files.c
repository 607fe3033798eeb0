/* What belongs to whom in a user namespace: a removed file, a memfd, a bound socket, a file on a tmpfs, a segment. */
#include "program.h"
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/un.h>

static void expect_owner(int fd)
{
	struct stat status;
	must(fstat(fd, &status));
	expect(status.st_uid, 5);
	expect(status.st_gid, 6);
}

static void expect_owner_of(const char *path)
{
	int fd = must(open(path, O_PATH));
	expect_owner(fd);
	must(close(fd));
}

int main(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "/data/socket" };
	struct shmid_ds segment;
	int removed = must(open("/data/removed", O_RDWR | O_CREAT, 0600));
	must(unlink("/data/removed"));
	int memory = must(memfd_create("memory", 0));
	int socket_fd = must(socket(AF_UNIX, SOCK_STREAM, 0));
	must(bind(socket_fd, (struct sockaddr *)&name, sizeof name));
	must(listen(socket_fd, 1));
	write_file("/dev/shm/file", "content");
	must(fchown(removed, 5, 6));
	must(fchown(memory, 5, 6));
	must(chown(name.sun_path, 5, 6));
	must(chown("/dev/shm/file", 5, 6));
	int id = must(shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600));
	must(shmctl(id, IPC_STAT, &segment));
	segment.shm_perm.uid = 5;
	segment.shm_perm.gid = 6;
	must(shmctl(id, IPC_SET, &segment));

	hold();

	expect_owner(removed);
	expect_owner(memory);
	expect_owner_of(name.sun_path);
	expect_owner_of("/dev/shm/file");
	must(shmctl(id, IPC_STAT, &segment));
	expect(segment.shm_perm.uid, 5);
	expect(segment.shm_perm.gid, 6);
	expect(segment.shm_perm.cuid, 0);
	return pass();
}
