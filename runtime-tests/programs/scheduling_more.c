/* What sched_setattr, set_mempolicy and mlockall set beside policies and priorities; some of it where the kernel has it. */
#include "program.h"
#include <linux/mempolicy.h>

struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t least, greatest;
};
#define DEADLINE 6
#define RESET_ON_FORK 1
#define CLAMP 0x60

static volatile int ready, go_on;

static struct attributes attributes(void)
{
	struct attributes found = {0};
	must(syscall(SYS_sched_getattr, 0, &found, sizeof found, 0));
	return found;
}

static void *reset_on_fork(void *nothing)
{
	struct attributes own = {.size = sizeof own, .policy = SCHED_BATCH, .flags = RESET_ON_FORK, .nice = 7};
	must(syscall(SYS_sched_setattr, 0, &own, 0));
	unsigned long node = 1, mask[16] = {0};
	bool can = syscall(SYS_set_mempolicy, MPOL_BIND | MPOL_F_STATIC_NODES, &node, 64) == 0;
	raise_flag(&ready);
	wait_for_flag(&go_on, 1);
	struct attributes now = attributes();
	expect(now.policy, SCHED_BATCH);
	expect(now.flags & RESET_ON_FORK, RESET_ON_FORK);
	expect(now.nice, 7);
	int mode;
	if (can) {
		must(syscall(SYS_get_mempolicy, &mode, mask, 1024, NULL, 0));
		expect(mode, MPOL_BIND | MPOL_F_STATIC_NODES);
		expect(mask[0], 1);
	}
	return nothing;
}

static void *clamped(void *nothing)
{
	struct attributes own = {.size = sizeof own, .flags = CLAMP, .least = 100, .greatest = 900};
	bool can = syscall(SYS_sched_setattr, 0, &own, 0) == 0;
	raise_flag(&ready);
	wait_for_flag(&go_on, 1);
	struct attributes now = attributes();
	if (can) {
		expect(now.least, 100);
		expect(now.greatest, 900);
	}
	return nothing;
}

static void *of_deadline(void *nothing)
{
	struct attributes own = {
		.size = sizeof own, .policy = DEADLINE, .runtime = 1000000, .deadline = 20000000, .period = 30000000,
	};
	bool can = syscall(SYS_sched_setattr, 0, &own, 0) == 0;
	raise_flag(&ready);
	wait_for_flag(&go_on, 1);
	struct attributes now = attributes();
	if (can) {
		expect(now.policy, DEADLINE);
		expect(now.runtime, own.runtime);
		expect(now.deadline, own.deadline);
		expect(now.period, own.period);
	}
	return nothing;
}

/* Of new memory: whether it is locked, and there at once. */
static void expect_locked(bool at_once)
{
	unsigned char there[16] = {0};
	char *memory = must_map(mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	must(mincore(memory, 65536, there));
	expect(there[3] & 1, at_once);
	memory[0] = 1;
	expect_error(madvise(memory, 4096, MADV_DONTNEED), EINVAL);
	must(munmap(memory, 65536));
}

/* Old kernels do not, of memory to come. */
static bool tells_lock_on_fault(void)
{
	static char text[1 << 16];
	return strstr(read_file("/proc/self/smaps", text, sizeof text), " lf") != NULL;
}

int main(void)
{
	static void *(*const bodies[])(void *) = {reset_on_fork, clamped, of_deadline};
	pthread_t threads[COUNT(bodies)];
	volatile int *locking = share(sizeof(int));
	pid_t children[2];
	for (int at = 0; at < 2; at++) {
		children[at] = must(fork());
		if (children[at] == 0) {
			char *memory = must_map(
				mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
			must(mlock2(memory, 65536, MLOCK_ONFAULT));
			memory[0] = 1;
			must(mlockall(MCL_FUTURE | (at == 0 ? 0 : MCL_ONFAULT)));
			raise_flag(locking);
			wait_for_sigterm();
			if (at == 0 || tells_lock_on_fault())
				expect_locked(at == 0);
			unsigned char there[16] = {0};
			must(mincore(memory, 65536, there));
			expect(there[0] & 1, 1);
			expect(there[3] & 1, 0);
			expect_error(madvise(memory, 4096, MADV_DONTNEED), EINVAL);
			_exit(0);
		}
	}
	wait_for_flag(locking, 2);
	for (size_t at = 0; at < COUNT(bodies); at++)
		must_zero(pthread_create(&threads[at], NULL, bodies[at], NULL));
	wait_for_flag(&ready, COUNT(bodies));

	hold();

	raise_flag(&go_on);
	for (size_t at = 0; at < COUNT(bodies); at++)
		must_zero(pthread_join(threads[at], NULL));
	for (int at = 0; at < 2; at++) {
		must(kill(children[at], SIGTERM));
		expect_success(children[at]);
	}
	return pass();
}
