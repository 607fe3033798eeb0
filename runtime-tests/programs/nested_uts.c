/* A child, and its child, on a host of another name than their parent's. */
#include "program.h"
#include <sched.h>

static void expect_name(const char *expected)
{
	char name[64];
	must_zero(gethostname(name, sizeof name));
	expect_text(name, expected);
}

int main(void)
{
	struct shared {
		volatile int ready;
		char namespaces[2][64];
	} *shared = share(sizeof *shared);
	must(sethostname("outer", 5));
	pid_t child = must(fork());
	if (child == 0) {
		must(unshare(CLONE_NEWUTS));
		must(sethostname("inner", 5));
		must(setdomainname("domain", 6));
		pid_t grandchild = must(fork());
		raise_flag(&shared->ready);
		wait_for_sigterm();
		expect_name("inner");
		char name[64];
		must_zero(getdomainname(name, sizeof name));
		expect_text(name, "domain");
		must(readlink("/proc/self/ns/uts", shared->namespaces[grandchild == 0], 63));
		if (grandchild != 0) {
			must(kill(grandchild, SIGTERM));
			expect_success(grandchild);
			expect_text(shared->namespaces[0], shared->namespaces[1]);
		}
		_exit(0);
	}
	wait_for_flag(&shared->ready, 2);

	hold();

	expect_name("outer");
	must(kill(child, SIGTERM));
	expect_success(child);
	return pass();
}
