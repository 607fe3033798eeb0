/* Seccomp filters: a chain in the first thread, one more in a second, none in a third, others in a child. */
#include "seccomp.h"

static volatile int ready, go_on;

static void *stricter(void *argument)
{
	refuse(SYS_getpgid, ENOTTY);
	raise_flag(&ready);
	wait_for_flag(&go_on, 1);
	expect(filters(), 2);
	expect_error(syscall(SYS_getpgid, 0), ENOTTY);
	expect_error(syscall(SYS_getsid, 0), ENODATA);
	must(syscall(SYS_getpriority, 0, 0));
	return argument;
}

static void *free_thread(void *argument)
{
	raise_flag(&ready);
	wait_for_flag(&go_on, 1);
	expect(filters(), 0);
	must(syscall(SYS_getsid, 0));
	return argument;
}

int main(void)
{
	volatile int *child_ready = share(sizeof(int));
	pthread_t threads[2];
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	must_zero(pthread_create(&threads[0], NULL, free_thread, NULL));
	wait_for_flag(&ready, 1);
	refuse(SYS_getsid, ENODATA);
	must_zero(pthread_create(&threads[1], NULL, stricter, NULL));
	wait_for_flag(&ready, 2);
	pid_t child = must(fork());
	if (child == 0) {
		refuse(SYS_getpriority, EDOM);
		refuse(SYS_getsid, ESRCH);
		raise_flag(child_ready);
		wait_for_sigterm();
		expect(filters(), 3);
		expect_error(syscall(SYS_getpriority, 0, 0), EDOM);
		/* Of two that refuse, the newer is heard. */
		expect_error(syscall(SYS_getsid, 0), ESRCH);
		_exit(0);
	}
	wait_for_flag(child_ready, 1);
	refuse(SYS_getpriority, ERANGE);

	hold();

	expect(filters(), 2);
	expect_error(syscall(SYS_getsid, 0), ENODATA);
	expect_error(syscall(SYS_getpriority, 0, 0), ERANGE);
	must(syscall(SYS_getpgid, 0));
	raise_flag(&go_on);
	for (size_t at = 0; at < COUNT(threads); at++)
		must_zero(pthread_join(threads[at], NULL));
	must(kill(child, SIGTERM));
	expect_success(child);
	return pass();
}
