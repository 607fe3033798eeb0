/* System V shared memory that was removed while attached: it lasts as long as the attachment, and no longer. */
#include "program.h"
#include <sys/ipc.h>
#include <sys/shm.h>

#define SIZE 8192

int main(void)
{
	struct shmid_ds status;
	int id = must(shmget(0x4321, SIZE, IPC_CREAT | 0600));
	unsigned char *memory = must_map(shmat(id, NULL, 0));
	fill(memory, SIZE, 1);
	must(shmctl(id, IPC_RMID, NULL));

	hold();

	expect_filled(memory, SIZE, 1);
	expect_error(shmget(0x4321, 0, 0), ENOENT);
	must(shmdt(memory));
	expect_error(shmctl(id, IPC_STAT, &status), EINVAL);
	return pass();
}
