/* Resource limits, soft and hard, of two processes. */
#include "program.h"
#include <sys/resource.h>

static void lower(int which, rlim_t soft, rlim_t hard)
{
	struct rlimit limit = { soft, hard };
	must(setrlimit(which, &limit));
}

static void read_all(struct rlimit *limits)
{
	for (int which = 0; which < RLIM_NLIMITS; which++)
		must(getrlimit(which, &limits[which]));
}

static void expect_all(const char *who, const struct rlimit *expected)
{
	struct rlimit found[RLIM_NLIMITS];
	read_all(found);
	for (int which = 0; which < RLIM_NLIMITS; which++)
		if (found[which].rlim_cur != expected[which].rlim_cur || found[which].rlim_max != expected[which].rlim_max)
			fail("%s: limit %d: expected %llu %llu, found %llu %llu", who, which,
			     (unsigned long long)expected[which].rlim_cur, (unsigned long long)expected[which].rlim_max,
			     (unsigned long long)found[which].rlim_cur, (unsigned long long)found[which].rlim_max);
}

int main(void)
{
	volatile int *ready = share(sizeof(int));
	struct rlimit limits[RLIM_NLIMITS];
	pid_t child = must(fork());
	if (child == 0) {
		lower(RLIMIT_CORE, 0, 0);
		lower(RLIMIT_NPROC, 77, 88);
		read_all(limits);
		raise_flag(ready);
		wait_for_sigterm();
		expect_all("child", limits);
		_exit(0);
	}
	lower(RLIMIT_CPU, 10000, 20000);
	lower(RLIMIT_FSIZE, 1 << 20, 1 << 21);
	lower(RLIMIT_STACK, 1 << 20, 1 << 22);
	lower(RLIMIT_NOFILE, 333, 444);
	lower(RLIMIT_SIGPENDING, 55, 66);
	lower(RLIMIT_MSGQUEUE, 0, 0);
	read_all(limits);
	wait_for_flag(ready, 1);

	hold();

	expect_all("first", limits);
	must(kill(child, SIGTERM));
	expect_success(child);
	return pass();
}
