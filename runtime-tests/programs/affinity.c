/* Which processors a thread may use, its timer slack and its I/O priority. */
#include "program.h"
#include <sched.h>
#include <sys/prctl.h>

static volatile int ready, go_on;

static void *thread(void *argument)
{
	cpu_set_t set;
	const int last = *(int *)argument, io_priority = 2 << 13 | 6;
	CPU_ZERO(&set);
	CPU_SET(last, &set);
	must(sched_setaffinity(0, sizeof set, &set));
	must(prctl(PR_SET_TIMERSLACK, 123456));
	must(syscall(SYS_ioprio_set, 1, 0, io_priority));
	raise_flag(&ready);
	wait_for_flag(&go_on, 1);
	must(sched_getaffinity(0, sizeof set, &set));
	expect(CPU_COUNT(&set), 1);
	expect(CPU_ISSET(last, &set) != 0, true);
	expect(prctl(PR_GET_TIMERSLACK), 123456);
	expect(syscall(SYS_ioprio_get, 1, 0), io_priority);
	return NULL;
}

int main(void)
{
	cpu_set_t before, after;
	pthread_t id;
	must(sched_getaffinity(0, sizeof before, &before));
	int last = CPU_SETSIZE - 1;
	while (!CPU_ISSET(last, &before))
		last--;
	must_zero(pthread_create(&id, NULL, thread, &last));
	wait_for_flag(&ready, 1);

	hold();

	must(sched_getaffinity(0, sizeof after, &after));
	expect(CPU_EQUAL(&before, &after) != 0, true);
	raise_flag(&go_on);
	must_zero(pthread_join(id, NULL));
	return pass();
}
