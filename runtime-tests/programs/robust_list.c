/* A robust mutex whose owner dies afterwards, and the kernel's word for where the list and the tid address are. */
#include "program.h"
#include <linux/futex.h>
#include <sys/prctl.h>

static volatile int ready, go_on;
static pthread_mutex_t *mutex;

static void *owner(void *argument)
{
	void *head, *head_after;
	int *address, *address_after;
	size_t size;
	must_zero(pthread_mutex_lock(mutex));
	must(syscall(SYS_get_robust_list, 0, &head, &size));
	must(prctl(PR_GET_TID_ADDRESS, &address));
	expect(*address, gettid());
	raise_flag(&ready);
	wait_for_flag(&go_on, 1);
	must(syscall(SYS_get_robust_list, 0, &head_after, &size));
	expect(head_after, head);
	expect(size, sizeof(struct robust_list_head));
	must(prctl(PR_GET_TID_ADDRESS, &address_after));
	expect(address_after, address);
	/* Ends with the mutex. */
	return argument;
}

int main(void)
{
	pthread_mutexattr_t attributes;
	pthread_t id;
	mutex = share(sizeof *mutex);
	must_zero(pthread_mutexattr_init(&attributes));
	must_zero(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST));
	must_zero(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED));
	must_zero(pthread_mutex_init(mutex, &attributes));
	must_zero(pthread_create(&id, NULL, owner, NULL));
	wait_for_flag(&ready, 1);

	hold();

	expect(pthread_mutex_trylock(mutex), EBUSY);
	raise_flag(&go_on);
	must_zero(pthread_join(id, NULL));
	expect(pthread_mutex_lock(mutex), EOWNERDEAD);
	must_zero(pthread_mutex_consistent(mutex));
	must_zero(pthread_mutex_unlock(mutex));
	return pass();
}
