/* All five sets of capabilities, different in two threads, and securebits. */
#include "program.h"
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>

static volatile int ready, go_on;

static void read_sets(char sets[5][32], unsigned *securebits)
{
	static const char *const names[] = { "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb" };
	for (size_t at = 0; at < COUNT(names); at++)
		field_of("/proc/thread-self/status", names[at], sets[at], 32);
	*securebits = must(prctl(PR_GET_SECUREBITS));
}

static void expect_sets(const char *who, char expected[5][32], unsigned securebits)
{
	char found[5][32];
	unsigned found_bits;
	read_sets(found, &found_bits);
	for (int at = 0; at < 5; at++)
		if (strcmp(found[at], expected[at]) != 0)
			fail("%s: set %d: expected %s, found %s", who, at, expected[at], found[at]);
	expect(found_bits, securebits);
}

static void set(uint32_t effective, uint32_t permitted, uint32_t inheritable)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { effective, permitted, inheritable }, { 0, 0, 0 } };
	must(syscall(SYS_capset, &header, data));
}

static void *thread(void *argument)
{
	char sets[5][32];
	unsigned securebits;
	set(1 << CAP_KILL, 1 << CAP_KILL | 1 << CAP_NET_BIND_SERVICE, 0);
	read_sets(sets, &securebits);
	raise_flag(&ready);
	wait_for_flag(&go_on, 1);
	expect_sets("thread", sets, securebits);
	return argument;
}

int main(void)
{
	char sets[5][32];
	unsigned securebits;
	pthread_t id;
	must_zero(pthread_create(&id, NULL, thread, NULL));
	wait_for_flag(&ready, 1);
	must(prctl(PR_CAPBSET_DROP, CAP_AUDIT_WRITE));
	must(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP | SECBIT_NOROOT | SECBIT_NOROOT_LOCKED));
	uint32_t all = 1 << CAP_KILL | 1 << CAP_NET_BIND_SERVICE | 1 << CAP_SETPCAP;
	set(1 << CAP_KILL, all, 1 << CAP_KILL | 1 << CAP_NET_BIND_SERVICE);
	must(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0));
	read_sets(sets, &securebits);
	expect(securebits, SECBIT_NO_SETUID_FIXUP | SECBIT_NOROOT | SECBIT_NOROOT_LOCKED);

	hold();

	expect_sets("first", sets, securebits);
	raise_flag(&go_on);
	must_zero(pthread_join(id, NULL));
	return pass();
}
