/* Strict seccomp: a child that may only read, write and exit is still alive, and still may do nothing else. */
#include "program.h"
#include <linux/seccomp.h>
#include <sys/prctl.h>

int main(void)
{
	int orders[2], answers[2];
	pid_t child[2];
	char byte;
	must(pipe(orders));
	must(pipe(answers));
	for (int number = 0; number < 2; number++) {
		child[number] = must(fork());
		if (child[number] != 0)
			continue;
		must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
		if (write(answers[1], "r", 1) != 1 || read(orders[0], &byte, 1) != 1)
			syscall(SYS_exit, 4);
		if (byte == 'x')
			syscall(SYS_getpid);
		if (write(answers[1], &byte, 1) != 1)
			syscall(SYS_exit, 5);
		syscall(SYS_exit, 3);
	}
	for (int number = 0; number < 2; number++) {
		expect(read(answers[0], &byte, 1), 1);
		wait_for_state(child[number], 'S');
	}

	hold();

	int status, exited = 0, killed = 0;
	expect(write(orders[1], "ox", 2), 2);
	expect(read(answers[0], &byte, 1), 1);
	expect(byte, 'o');
	for (int number = 0; number < 2; number++) {
		must(waitpid(child[number], &status, 0));
		exited += status == 3 << 8;
		killed += status == SIGKILL;
	}
	expect(exited, 1);
	expect(killed, 1);
	return pass();
}
