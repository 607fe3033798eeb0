/* Sessions and process groups: own, inherited, of a leader that is gone, of a sibling. */
#include "program.h"

enum { LEADER, MEMBER, GROUP_LEADER, GROUP_MEMBER, LEFT_BEHIND, TASKS };

static struct shared {
	volatile int ready;
	pid_t pid[TASKS];
} *shared;

static void stay(int role)
{
	pid_t session = getsid(0), group = getpgid(0);
	shared->pid[role] = getpid();
	raise_flag(&shared->ready);
	wait_for_sigterm();
	expect(getsid(0), session);
	expect(getpgid(0), group);
	_exit(0);
}

static pid_t start(int role, pid_t group)
{
	pid_t child = must(fork());
	if (child == 0) {
		if (group >= 0)
			must(setpgid(0, group));
		stay(role);
	}
	return child;
}

int main(void)
{
	shared = share(sizeof *shared);
	pid_t session = getsid(0), group = getpgid(0);

	pid_t leader = must(fork());
	if (leader == 0) {
		must(setsid());
		pid_t member = start(MEMBER, -1);
		pid_t group_leader = start(GROUP_LEADER, 0);
		wait_for_flag(&shared->ready, 2);
		pid_t group_member = start(GROUP_MEMBER, group_leader);
		/* Its session's leader is another process that ends before the program holds. */
		pid_t gone = must(fork());
		if (gone == 0) {
			must(setsid());
			start(LEFT_BEHIND, -1);
			wait_for_flag(&shared->ready, 4);
			_exit(0);
		}
		expect_success(gone);
		shared->pid[LEADER] = getpid();
		raise_flag(&shared->ready);
		wait_for_sigterm();
		expect(getsid(0), getpid());
		expect(getpgid(0), getpid());
		expect(getsid(member), getpid());
		expect(getpgid(member), getpid());
		expect(getpgid(group_leader), group_leader);
		expect(getpgid(group_member), group_leader);
		expect(getsid(group_member), getpid());
		must(kill(member, SIGTERM));
		expect_success(member);
		/* The group is real: both of its members get the signal. */
		must(kill(-group_leader, SIGTERM));
		expect_success(group_leader);
		expect_success(group_member);
		_exit(0);
	}
	wait_for_flag(&shared->ready, 5);

	hold();

	expect(getsid(0), session);
	expect(getpgid(0), group);
	expect(getsid(leader), leader);
	pid_t left_behind = shared->pid[LEFT_BEHIND];
	if (getsid(left_behind) == left_behind || getsid(left_behind) == leader)
		fail("the session without a leader is %d", getsid(left_behind));
	must(kill(leader, SIGTERM));
	expect_success(leader);
	/* It has become our child, because we are the first process. */
	must(kill(left_behind, SIGTERM));
	expect_success(left_behind);
	return pass();
}
