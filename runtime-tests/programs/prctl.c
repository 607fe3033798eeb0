/* What prctl sets beside what images have: no memory that is written and executed, speculation, machine checks, the timestamp
 * counter, merging of memory. Each where kernel and processor have it. */
#include "program.h"
#include <sys/prctl.h>

#define MDWE_SET 65
#define MDWE_GET 66
#define MERGE_SET 67
#define MERGE_GET 68
#define SPECULATION_GET 52
#define SPECULATION_SET 53
#define CONTROLLABLE 1
#define DISABLE 4

static void *thread(void *ready)
{
	must(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_LATE, 0, 0));
	raise_flag(ready);
	wait_for_sigterm();
	expect(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0), PR_MCE_KILL_LATE);
	return NULL;
}

int main(void)
{
	volatile int *ready = share(sizeof(int));
	bool denies = false, merges = false;
	int before[2] = {0}, counter;
	pid_t child = must(fork());
	if (child == 0) {
		pthread_t other;
		must_zero(pthread_create(&other, NULL, thread, (void *)ready));
		wait_for_flag(ready, 1);
		must(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0));
		denies = prctl(MDWE_SET, 1, 0, 0, 0) == 0;
		merges = prctl(MERGE_SET, 1, 0, 0, 0) == 0;
		for (int which = 0; which < 2; which++) {
			before[which] = prctl(SPECULATION_GET, which, 0, 0, 0);
			if (before[which] > 0 && before[which] & CONTROLLABLE)
				must(prctl(SPECULATION_SET, which, DISABLE, 0, 0));
		}
		must(prctl(PR_SET_TSC, PR_TSC_SIGSEGV));
		raise_flag(ready);
		wait_for_sigterm();
		must(prctl(PR_GET_TSC, &counter));
		must(prctl(PR_SET_TSC, PR_TSC_ENABLE));
		expect(counter, PR_TSC_SIGSEGV);
		expect(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0), PR_MCE_KILL_EARLY);
		if (denies) {
			expect(prctl(MDWE_GET, 0, 0, 0, 0), 1);
			char *page = must_map(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
			expect_error(mprotect(page, 4096, PROT_READ | PROT_EXEC), EACCES);
		}
		if (merges)
			expect(prctl(MERGE_GET, 0, 0, 0, 0), 1);
		for (int which = 0; which < 2; which++) {
			if (before[which] > 0 && before[which] & CONTROLLABLE)
				expect(prctl(SPECULATION_GET, which, 0, 0, 0), CONTROLLABLE | DISABLE);
		}
		must_zero(pthread_kill(other, SIGTERM));
		must_zero(pthread_join(other, NULL));
		_exit(0);
	}
	wait_for_flag(ready, 2);

	hold();

	/* Not ours. */
	expect(prctl(MDWE_GET, 0, 0, 0, 0) > 0, 0);
	must(prctl(PR_GET_TSC, &counter));
	expect(counter, PR_TSC_ENABLE);
	must(kill(child, SIGTERM));
	expect_success(child);
	return pass();
}
