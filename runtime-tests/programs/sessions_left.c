/* Tasks in another session than their parent: it has left theirs, or it is a subreaper that got them as orphans. */
#include "program.h"
#include <sys/prctl.h>

enum { LEFT, ADOPTED, BEREAVED, TASKS };

static struct shared {
	volatile int ready;
	pid_t pid[TASKS], leader;
} *shared;

static void stay(void)
{
	pid_t parent = getppid(), session = getsid(0), group = getpgid(0);
	raise_flag(&shared->ready);
	wait_for_sigterm();
	expect(getppid(), parent);
	expect(getsid(0), session);
	expect(getpgid(0), group);
	_exit(0);
}

/* A task in our session whose parent has ended: whoever gets orphans is its parent. */
static void leave_orphan(int role)
{
	pid_t middle = must(fork());
	if (middle == 0) {
		pid_t parent = getpid();
		if (must(fork()) == 0) {
			while (getppid() == parent)
				pause_ms(1);
			shared->pid[role] = getpid();
			stay();
		}
		_exit(0);
	}
	expect_success(middle);
}

static void end_orphan(int role)
{
	must(kill(shared->pid[role], SIGTERM));
	expect_success(shared->pid[role]);
}

int main(void)
{
	shared = share(sizeof *shared);
	pid_t session = getsid(0);

	pid_t leaver = must(fork());
	if (leaver == 0) {
		pid_t left = must(fork());
		if (left == 0)
			stay();
		shared->pid[LEFT] = left;
		must(setsid());
		raise_flag(&shared->ready);
		wait_for_sigterm();
		expect(getsid(0), getpid());
		expect(getsid(shared->pid[LEFT]), session);
		end_orphan(LEFT);
		_exit(0);
	}

	pid_t reaper = must(fork());
	if (reaper == 0) {
		must(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
		pid_t between = must(fork());
		if (between == 0) {
			pid_t leader = must(fork());
			if (leader == 0) {
				shared->leader = must(setsid());
				leave_orphan(ADOPTED);
				stay();
			}
			raise_flag(&shared->ready);
			wait_for_sigterm();
			must(kill(leader, SIGTERM));
			expect_success(leader);
			_exit(0);
		}
		pid_t gone = must(fork());
		if (gone == 0) {
			must(setsid());
			leave_orphan(BEREAVED);
			_exit(0);
		}
		expect_success(gone);
		raise_flag(&shared->ready);
		wait_for_sigterm();
		expect(getsid(shared->pid[ADOPTED]), shared->leader);
		expect(getsid(shared->pid[BEREAVED]), gone);
		end_orphan(ADOPTED);
		end_orphan(BEREAVED);
		must(kill(between, SIGTERM));
		expect_success(between);
		_exit(0);
	}
	wait_for_flag(&shared->ready, 7);

	hold();

	must(kill(leaver, SIGTERM));
	expect_success(leaver);
	must(kill(reaper, SIGTERM));
	expect_success(reaper);
	return pass();
}
