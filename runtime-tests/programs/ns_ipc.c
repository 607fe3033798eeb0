/* System V message queues and semaphores: ids with gaps, keys, messages, values, limits of the namespace. */
#include "program.h"
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>

struct message {
	long type;
	char text[1000];
};

int main(void)
{
	struct message message;
	int gap = must(msgget(IPC_PRIVATE, 0600));
	int queue = must(msgget(0x111, IPC_CREAT | 0620));
	must(msgctl(gap, IPC_RMID, NULL));
	for (int number = 1; number <= 5; number++) {
		message.type = number;
		fill(message.text, sizeof message.text, number);
		must(msgsnd(queue, &message, number * 100, 0));
	}
	int semaphore_gap = must(semget(IPC_PRIVATE, 1, 0600));
	int semaphores = must(semget(0x222, 3, IPC_CREAT | 0604));
	must(semctl(semaphore_gap, 0, IPC_RMID));
	unsigned short values[3] = { 5, 0, 777 }, found[3];
	must(semctl(semaphores, 0, SETALL, values));

	hold();

	struct msqid_ds status;
	expect(msgget(0x111, 0), queue);
	must(msgctl(queue, IPC_STAT, &status));
	expect(status.msg_qnum, 5);
	expect(status.msg_perm.mode & 0777, 0620);
	/* By type, then in order. */
	expect(must(msgrcv(queue, &message, sizeof message.text, 4, IPC_NOWAIT)), 400);
	expect_filled(message.text, 400, 4);
	for (int number = 1; number <= 5; number++) {
		if (number == 4)
			continue;
		expect(must(msgrcv(queue, &message, sizeof message.text, 0, IPC_NOWAIT)), number * 100);
		expect(message.type, number);
		expect_filled(message.text, number * 100, number);
	}
	expect_error(msgrcv(queue, &message, sizeof message.text, 0, IPC_NOWAIT), ENOMSG);
	expect(semget(0x222, 3, 0), semaphores);
	must(semctl(semaphores, 0, GETALL, found));
	expect_bytes(found, values, sizeof values);
	struct sembuf down = { 0, -5, IPC_NOWAIT };
	must(semop(semaphores, &down, 1));
	expect_error(semop(semaphores, &down, 1), EAGAIN);
	return pass();
}
