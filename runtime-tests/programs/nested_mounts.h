/*
 * Children with mount namespaces of their own, as systemd gives them to services: one with mounts made, bound and taken away,
 * which still gets what is mounted outside; one with another root, which does not.
 */
#include "program.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>

struct shared {
	volatile int ready;
	char namespaces[2][64];
};

static void expect_file(const char *path, const char *expected)
{
	char text[64];
	expect_text(read_file(path, text, sizeof text), expected);
}

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	return address;
}

/* The one that gets what is mounted outside. */
static void slave(struct shared *shared)
{
	must(unshare(CLONE_NEWNS));
	must(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL));
	must(mount("own", "/data/own", "tmpfs", MS_NOSUID, "size=1m,mode=0751"));
	write_file("/data/own/file", "nested");
	must(mount("/data/source", "/data/bound", NULL, MS_BIND, NULL));
	/* And nothing else of it: in a user namespace the rest may be locked. */
	uint64_t read_only[4] = {MS_RDONLY};
	must(syscall(SYS_mount_setattr, AT_FDCWD, "/data/bound", 0, read_only, sizeof read_only));
	must(mount("/data/own/file", "/data/target", NULL, MS_BIND, NULL));
	must(umount("/data/gone"));
	must(chdir("/data/own"));
	int fd = must(open("/data/own/file", O_RDWR));
	const char *mapped = must_map(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0));
	int listener = must(socket(AF_UNIX, SOCK_STREAM, 0));
	struct sockaddr_un name = address("/data/own/socket");
	must(bind(listener, (struct sockaddr *)&name, sizeof name));
	must(listen(listener, 1));
	pid_t child = must(fork());
	raise_flag(&shared->ready);
	wait_for_sigterm();

	must(readlink("/proc/self/ns/mnt", shared->namespaces[child == 0], 63));
	if (child == 0)
		_exit(0);
	must(kill(child, SIGTERM));
	expect_success(child);
	expect_text(shared->namespaces[0], shared->namespaces[1]);
	expect_file("/data/own/file", "nested");
	expect_file("file", "nested");
	expect(write(fd, "N", 1), 1);
	expect_file("/data/target", "Nested");
	expect(mapped[0], 'N');
	struct stat status;
	must(stat("/data/own", &status));
	expect(status.st_mode & 0777, 0751);
	expect_file("/data/bound/file", "source");
	expect_error(open("/data/bound/new", O_WRONLY | O_CREAT, 0600), EROFS);
	expect_error(access("/data/gone/file", F_OK), ENOENT);
	int client = must(socket(AF_UNIX, SOCK_STREAM, 0));
	must(connect(client, (struct sockaddr *)&name, sizeof name));
	expect_file("/data/shared/new/file", "later");
	_exit(0);
}

/* The one with another root. */
static void pivoted(struct shared *shared)
{
	must(unshare(CLONE_NEWNS));
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	must(mount("/", "/data/root", NULL, MS_BIND | MS_REC, NULL));
	must(chdir("/data/root"));
	must(syscall(SYS_pivot_root, ".", "."));
	must(umount2(".", MNT_DETACH));
	must(chdir("/"));
	must(mount("own", "/data/own", "tmpfs", 0, NULL));
	write_file("/data/own/file", "pivoted");
	raise_flag(&shared->ready);
	wait_for_sigterm();

	expect_file("/data/own/file", "pivoted");
	expect_file("/data/gone/file", "outside");
	expect_error(access("/data/shared/new/file", F_OK), ENOENT);
	must(access("/proc/self/comm", F_OK));
	_exit(0);
}

int main(void)
{
	static const char *directories[] = {"own", "bound", "source", "gone", "shared", "root"};
	char path[64];
	struct shared *shared = share(sizeof *shared);
	for (size_t at = 0; at < COUNT(directories); at++) {
		snprintf(path, sizeof path, "/data/%s", directories[at]);
		must(mkdir(path, 0755));
	}
	write_file("/data/target", "hidden");
	write_file("/data/source/file", "source");
	must(mount("gone", "/data/gone", "tmpfs", 0, NULL));
	write_file("/data/gone/file", "outside");
	must(mount("shared", "/data/shared", "tmpfs", 0, NULL));
	must(mkdir("/data/shared/new", 0755));
	must(mount(NULL, "/data/shared", NULL, MS_SHARED, NULL));
	pid_t children[2];
	if ((children[0] = must(fork())) == 0)
		slave(shared);
	wait_for_flag(&shared->ready, 2);
	if ((children[1] = must(fork())) == 0)
		pivoted(shared);
	wait_for_flag(&shared->ready, 3);

	hold();

	expect_error(access("/data/own/file", F_OK), ENOENT);
	expect_file("/data/gone/file", "outside");
	expect_file("/data/target", "hidden");
	must(mount("new", "/data/shared/new", "tmpfs", 0, NULL));
	write_file("/data/shared/new/file", "later");
	for (size_t at = 0; at < COUNT(children); at++) {
		must(kill(children[at], SIGTERM));
		expect_success(children[at]);
	}
	return pass();
}
