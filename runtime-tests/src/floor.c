/*
 * What the kernel alone takes for `floe spec`'s container: clone3 into the same namespaces, the same mounts, execve.
 *
 * No config.json, no cgroup, no device nodes, no state, no check: `make bench` shows a runtime's time as a multiple of
 * this. The mounts must be those of crates/floe/src/documents/spec.json; floe-bench compares both lists.
 *
 * usage: floor ROOTFS PROGRAM [ARGUMENT...]
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void check(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		_exit(1);
	}
}

static const struct filesystem {
	const char *type, *target;
	unsigned long flags;
	const char *data;
} filesystems[] = {
	{ "proc", "proc", 0, NULL },
	{ "tmpfs", "dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k" },
	{ "devpts", "dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5" },
	{ "tmpfs", "dev/shm", MS_NOSUID | MS_NOEXEC | MS_NODEV, "mode=1777,size=65536k" },
	{ "mqueue", "dev/mqueue", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL },
	{ "sysfs", "sys", MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY, NULL },
	{ "cgroup2", "sys/fs/cgroup", MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RELATIME | MS_RDONLY, NULL },
};

static const char *const readonly[] = { "proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger" };

static const char *const masked[] = {
	"proc/acpi",       "proc/asound",      "proc/kcore",        "proc/keys",    "proc/latency_stats",
	"proc/timer_list", "proc/timer_stats", "proc/sched_debug",  "sys/firmware", "proc/scsi",
};

#define FOR_EACH(item, list) for (size_t item = 0; item < sizeof(list) / sizeof(*(list)); item++)

static void container(const char *rootfs, char **program)
{
	check(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL), "make / a slave");
	check(mount(rootfs, rootfs, NULL, MS_BIND | MS_REC, NULL), "bind rootfs");
	check(chdir(rootfs), "enter rootfs");
	FOR_EACH(i, filesystems) {
		const struct filesystem *fs = &filesystems[i];
		/* Below dev, which is empty. */
		if (mkdir(fs->target, 0755) < 0 && errno != EEXIST && errno != EROFS && errno != EPERM)
			check(-1, fs->target);
		check(mount(fs->type, fs->target, fs->type, fs->flags, fs->data), fs->target);
	}
	FOR_EACH(i, readonly) {
		if (mount(readonly[i], readonly[i], NULL, MS_BIND | MS_REC, NULL) < 0)
			continue;
		check(mount(NULL, readonly[i], NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), readonly[i]);
	}
	const char *empty = NULL;
	FOR_EACH(i, masked) {
		struct stat st;
		if (stat(masked[i], &st) < 0)
			continue;
		if (!S_ISDIR(st.st_mode)) {
			check(mount("/dev/null", masked[i], NULL, MS_BIND, NULL), masked[i]);
		} else if (empty) {
			check(mount(empty, masked[i], NULL, MS_BIND, NULL), masked[i]);
		} else {
			check(mount("tmpfs", masked[i], "tmpfs", MS_RDONLY, "size=0,nr_inodes=2"), masked[i]);
			empty = masked[i];
		}
	}
	check(syscall(SYS_pivot_root, ".", "."), "pivot_root");
	check(umount2(".", MNT_DETACH), "leave the old root");
	check(mount(NULL, "/", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), "read-only root");
	execve(program[0], program, (char *[]){ NULL });
	check(-1, program[0]);
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: %s ROOTFS PROGRAM [ARGUMENT...]\n", argv[0]);
		return 2;
	}
	struct clone_args args = {
		.flags = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS | CLONE_NEWCGROUP,
		.exit_signal = SIGCHLD,
	};
	pid_t pid = syscall(SYS_clone3, &args, sizeof(args));
	check(pid, "clone3");
	if (pid == 0)
		container(argv[1], argv + 2);
	int status;
	check(waitpid(pid, &status, 0), "wait");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
