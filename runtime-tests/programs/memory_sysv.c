/* System V shared memory: attached twice, in a child, and detached; ids, keys and modes. */
#include "program.h"
#include <sys/ipc.h>
#include <sys/shm.h>

#define PAGE 4096

int main(void)
{
	volatile int *ready = share(sizeof(int));
	/* So that ids have gaps. */
	int first = must(shmget(IPC_PRIVATE, PAGE, 0600));
	int id = must(shmget(0x1234, 4 * PAGE, IPC_CREAT | 0640));
	int detached = must(shmget(0x5678, 2 * PAGE, IPC_CREAT | 0600));
	must(shmctl(first, IPC_RMID, NULL));
	unsigned char *memory = must_map(shmat(id, NULL, 0));
	unsigned char *again = must_map(shmat(id, NULL, SHM_RDONLY));
	unsigned char *other = must_map(shmat(detached, NULL, 0));
	fill(memory, 4 * PAGE, 1);
	fill(other, 2 * PAGE, 2);
	must(shmdt(other));
	pid_t child = must(fork());
	if (child == 0) {
		raise_flag(ready);
		wait_for_sigterm();
		expect(memory[5], 0x55);
		memory[6] = 0x66;
		_exit(0);
	}
	wait_for_flag(ready, 1);

	hold();

	struct shmid_ds status;
	expect(shmget(0x1234, 0, 0), id);
	expect(shmget(0x5678, 0, 0), detached);
	must(shmctl(id, IPC_STAT, &status));
	expect(status.shm_nattch, 4);
	expect(status.shm_perm.mode & 0777, 0640);
	expect(status.shm_segsz, 4 * PAGE);
	expect_filled(memory, 4 * PAGE, 1);
	expect_filled(again, 4 * PAGE, 1);
	memory[5] = 0x55;
	expect(again[5], 0x55);
	must(kill(child, SIGTERM));
	expect_success(child);
	expect(memory[6], 0x66);
	other = must_map(shmat(detached, NULL, 0));
	expect_filled(other, 2 * PAGE, 2);
	must(shmdt(again));
	must(shmdt(memory));
	must(shmctl(id, IPC_STAT, &status));
	expect(status.shm_nattch, 0);
	must(shmctl(id, IPC_RMID, NULL));
	must(shmctl(detached, IPC_RMID, NULL));
	return pass();
}
