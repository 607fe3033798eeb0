/* Scheduling policies and nice values, per thread. */
#include "program.h"
#include <sched.h>
#include <sys/resource.h>

static const struct policy {
	/* Nicer than the program was started by this much, as far as that goes. */
	int policy, nicer;
} policies[] = { { SCHED_OTHER, 7 }, { SCHED_BATCH, 3 }, { SCHED_IDLE, 0 }, { SCHED_OTHER, 19 } };

static volatile int ready, go_on;
static int start;

static int nicer(int by)
{
	return start + by > 19 ? 19 : start + by;
}

static void *thread(void *argument)
{
	const struct policy *own = argument;
	struct sched_param none = { 0 };
	must(sched_setscheduler(0, own->policy, &none));
	must(setpriority(PRIO_PROCESS, 0, nicer(own->nicer)));
	raise_flag(&ready);
	wait_for_flag(&go_on, 1);
	expect(sched_getscheduler(0), own->policy);
	expect(getpriority(PRIO_PROCESS, 0), nicer(own->nicer));
	return argument;
}

int main(void)
{
	pthread_t threads[COUNT(policies)];
	start = getpriority(PRIO_PROCESS, 0);
	for (size_t at = 0; at < COUNT(policies); at++)
		must_zero(pthread_create(&threads[at], NULL, thread, (void *)&policies[at]));
	wait_for_flag(&ready, COUNT(policies));
	must(setpriority(PRIO_PROCESS, 0, nicer(5)));

	hold();

	expect(getpriority(PRIO_PROCESS, 0), nicer(5));
	expect(sched_getscheduler(0), SCHED_OTHER);
	raise_flag(&go_on);
	for (size_t at = 0; at < COUNT(policies); at++)
		must_zero(pthread_join(threads[at], NULL));
	return pass();
}
