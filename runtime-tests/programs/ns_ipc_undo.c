/* A semaphore that the kernel gives back when its holder ends (SEM_UNDO). */
#include "program.h"
#include <sys/ipc.h>
#include <sys/sem.h>

int main(void)
{
	volatile int *ready = share(sizeof(int));
	int semaphore = must(semget(IPC_PRIVATE, 1, 0600));
	must(semctl(semaphore, 0, SETVAL, 3));
	pid_t child = must(fork());
	if (child == 0) {
		struct sembuf take = { 0, -2, SEM_UNDO };
		must(semop(semaphore, &take, 1));
		raise_flag(ready);
		wait_for_sigterm();
		_exit(0);
	}
	wait_for_flag(ready, 1);

	hold();

	expect(semctl(semaphore, 0, GETVAL), 1);
	must(kill(child, SIGTERM));
	expect_success(child);
	expect(semctl(semaphore, 0, GETVAL), 3);
	return pass();
}
