/* Real, effective, saved and file system ids, all different, and supplementary groups: of two processes, two threads. */
#include "program.h"
#include <grp.h>
#include <sys/fsuid.h>

static volatile int ready, go_on;

static void expect_credentials(const char *who, const uid_t users[4], const gid_t groups[4], const gid_t *list, int count)
{
	uid_t real, effective, saved;
	gid_t found[32];
	must(getresuid(&real, &effective, &saved));
	if (real != users[0] || effective != users[1] || saved != users[2])
		fail("%s: users: expected %u %u %u, found %u %u %u", who, users[0], users[1], users[2], real, effective,
		     saved);
	must(getresgid(&real, &effective, &saved));
	if (real != groups[0] || effective != groups[1] || saved != groups[2])
		fail("%s: groups: expected %u %u %u, found %u %u %u", who, groups[0], groups[1], groups[2], real,
		     effective, saved);
	expect(setfsuid(-1), users[3]);
	expect(setfsgid(-1), groups[3]);
	expect(must(getgroups(COUNT(found), found)), count);
	for (int at = 0; at < count; at++)
		expect(found[at], list[at]);
}

static void become(const uid_t users[4], const gid_t groups[4], const gid_t *list, int count)
{
	/* The bare system calls: the C library's change all threads. */
	must(syscall(SYS_setgroups, count, list));
	must(syscall(SYS_setresgid, groups[0], groups[1], groups[2]));
	must(syscall(SYS_setfsgid, groups[3]));
	must(syscall(SYS_setresuid, users[0], users[1], users[2]));
	must(syscall(SYS_setfsuid, users[3]));
}

static void *thread(void *argument)
{
	const uid_t users[4] = { 0, 400, 500, 400 };
	const gid_t groups[4] = { 0, 410, 510, 410 }, list[] = { 7 };
	become(users, groups, list, COUNT(list));
	raise_flag(&ready);
	wait_for_flag(&go_on, 1);
	expect_credentials("thread", users, groups, list, COUNT(list));
	return argument;
}

int main(void)
{
	volatile int *child_ready = share(sizeof(int));
	pthread_t id;
	pid_t child = must(fork());
	if (child == 0) {
		const uid_t users[4] = { 1000, 1000, 1000, 1000 };
		const gid_t groups[4] = { 1000, 1000, 1000, 1000 };
		become(users, groups, NULL, 0);
		raise_flag(child_ready);
		wait_for_sigterm();
		expect_credentials("child", users, groups, NULL, 0);
		expect_error(setuid(0), EPERM);
		_exit(0);
	}
	must_zero(pthread_create(&id, NULL, thread, NULL));
	wait_for_flag(&ready, 1);
	wait_for_flag(child_ready, 1);
	const uid_t users[4] = { 0, 0, 3000, 5 };
	const gid_t groups[4] = { 11, 22, 33, 44 }, list[] = { 1, 20, 300, 65534, 100000 };
	become(users, groups, list, COUNT(list));

	hold();

	expect_credentials("first", users, groups, list, COUNT(list));
	raise_flag(&go_on);
	must_zero(pthread_join(id, NULL));
	must(kill(child, SIGTERM));
	expect_success(child);
	return pass();
}
