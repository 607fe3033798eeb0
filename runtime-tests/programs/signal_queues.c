/* Pending signals with what came with them: of the process and of a thread, standard and real-time, in order. */
#include "program.h"

static volatile int ready, go_on;
static volatile pid_t thread_id;

static void expect_info(const char *what, const siginfo_t *found, int signal, int code, long value)
{
	if (found->si_signo != signal || found->si_code != code || found->si_pid != getpid() ||
	    found->si_uid != getuid() || (code == SI_QUEUE && found->si_value.sival_int != value))
		fail("%s: expected signal %d code %d pid %d value %ld, found %d %d %d %d", what, signal, code,
		     getpid(), value, found->si_signo, found->si_code, found->si_pid, found->si_value.sival_int);
}

/* Takes a pending signal. The C library's functions hide SI_TKILL. */
static int take(int signal, siginfo_t *info)
{
	sigset_t set;
	struct timespec none = { 0 };
	sigemptyset(&set);
	sigaddset(&set, signal);
	return syscall(SYS_rt_sigtimedwait, &set, info, &none, 8);
}

static void *thread(void *argument)
{
	sigset_t pending;
	siginfo_t info;
	(void)argument;
	thread_id = gettid();
	raise_flag(&ready);
	wait_for_flag(&go_on, 1);
	must(sigpending(&pending));
	expect(sigismember(&pending, SIGUSR2), 1);
	expect(take(SIGUSR2, &info), SIGUSR2);
	expect_info("of the thread", &info, SIGUSR2, SI_TKILL, 0);
	return NULL;
}

static void queue_raw(int signal, int code, void *pointer)
{
	siginfo_t info = { .si_signo = signal, .si_code = code };
	info.si_pid = getpid();
	info.si_uid = getuid();
	info.si_value.sival_ptr = pointer;
	must(syscall(SYS_rt_sigqueueinfo, getpid(), signal, &info));
}

int main(void)
{
	sigset_t set, pending;
	siginfo_t info;
	pthread_t id;
	sigfillset(&set);
	must_zero(pthread_sigmask(SIG_BLOCK, &set, NULL));
	must_zero(pthread_create(&id, NULL, thread, NULL));
	wait_for_flag(&ready, 1);
	for (int number = 0; number < 5; number++)
		must(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){ .sival_int = 100 + number }));
	must(kill(getpid(), SIGUSR1));
	must(kill(getpid(), SIGHUP));
	queue_raw(SIGRTMIN + 2, SI_ASYNCIO, &set);
	must(syscall(SYS_tgkill, getpid(), thread_id, SIGUSR2));
	must(syscall(SYS_tgkill, getpid(), getpid(), SIGCHLD));

	hold();

	must(sigpending(&pending));
	for (int signal = 1; signal <= SIGRTMAX; signal++) {
		bool expected = signal == SIGRTMIN + 1 || signal == SIGRTMIN + 2 || signal == SIGUSR1 ||
				signal == SIGHUP || signal == SIGCHLD;
		if (sigismember(&pending, signal) != expected)
			fail("signal %d pending: expected %d, found %d", signal, expected, sigismember(&pending, signal));
	}
	for (int number = 0; number < 5; number++) {
		expect(take(SIGRTMIN + 1, &info), SIGRTMIN + 1);
		expect_info("queued", &info, SIGRTMIN + 1, SI_QUEUE, 100 + number);
	}
	expect_error(take(SIGRTMIN + 1, &info), EAGAIN);
	const int standard[] = { SIGUSR1, SIGHUP };
	for (size_t at = 0; at < COUNT(standard); at++) {
		expect(take(standard[at], &info), standard[at]);
		expect_info("of the process", &info, standard[at], SI_USER, 0);
		expect_error(take(standard[at], &info), EAGAIN);
	}
	expect(take(SIGRTMIN + 2, &info), SIGRTMIN + 2);
	expect(info.si_code, SI_ASYNCIO);
	expect((intptr_t)info.si_value.sival_ptr, (intptr_t)&set);
	raise_flag(&go_on);
	must_zero(pthread_join(id, NULL));
	expect(take(SIGCHLD, &info), SIGCHLD);
	expect_info("of the first thread", &info, SIGCHLD, SI_TKILL, 0);
	return pass();
}
