/* Semaphores that the kernel puts right when a process ends (SEM_UNDO): taken from, given to, by as much as can be. */
#include "program.h"
#include <sys/ipc.h>
#include <sys/sem.h>

#define LARGEST 32767

static void change(int set, int number, int by)
{
	struct sembuf operation = { number, by, SEM_UNDO };
	must(semop(set, &operation, 1));
}

int main(void)
{
	static const int before[] = { 3, 1, LARGEST, 0, 7 }, during[] = { 1, 6, 0, LARGEST, 7 };
	unsigned short values[COUNT(before)];
	volatile int *ready = share(sizeof(int));
	int set = must(semget(IPC_PRIVATE, COUNT(before), 0600));
	for (size_t at = 0; at < COUNT(before); at++)
		must(semctl(set, at, SETVAL, before[at]));
	pid_t child = must(fork());
	if (child == 0) {
		for (size_t at = 0; at < COUNT(before); at++)
			if (during[at] != before[at])
				change(set, at, during[at] - before[at]);
		/* SETVAL forgets what was to be put right. */
		change(set, 4, 100);
		must(semctl(set, 4, SETVAL, 7));
		raise_flag(ready);
		wait_for_sigterm();
		_exit(0);
	}
	wait_for_flag(ready, 1);

	hold();

	must(semctl(set, 0, GETALL, values));
	for (size_t at = 0; at < COUNT(before); at++)
		expect(values[at], during[at]);
	must(kill(child, SIGTERM));
	expect_success(child);
	must(semctl(set, 0, GETALL, values));
	for (size_t at = 0; at < COUNT(before); at++)
		expect(values[at], before[at]);
	return pass();
}
