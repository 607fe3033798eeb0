/* Signal actions with their flags and masks, ignored signals, and a handler that still runs on the right stack. */
#include "program.h"

static volatile sig_atomic_t seen;
static volatile uintptr_t seen_at;

static void handler(int signal, siginfo_t *info, void *context)
{
	(void)info, (void)context;
	seen = signal;
	seen_at = (uintptr_t)&signal;
}

int main(void)
{
	static char stack[65536];
	struct sigaction before[65], after;
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };
	must(sigaltstack(&alternate, NULL));
	sigaddset(&action.sa_mask, SIGHUP);
	sigaddset(&action.sa_mask, SIGRTMAX);
	must(sigaction(SIGUSR1, &action, NULL));
	action.sa_flags = SA_SIGINFO | SA_RESTART | SA_NODEFER;
	sigemptyset(&action.sa_mask);
	must(sigaction(SIGUSR2, &action, NULL));
	action.sa_flags = SA_SIGINFO | SA_RESETHAND;
	must(sigaction(SIGRTMIN + 3, &action, NULL));
	action.sa_flags = SA_SIGINFO | SA_NOCLDSTOP | SA_NOCLDWAIT;
	must(sigaction(SIGCHLD, &action, NULL));
	must(sigaction(SIGPIPE, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL));
	must(sigaction(SIGRTMAX, &(struct sigaction){ .sa_handler = SIG_IGN, .sa_flags = SA_RESTART }, NULL));
	for (int number = 1; number <= 64; number++)
		if (number != 32 && number != 33)
			must(sigaction(number, NULL, &before[number]));

	hold();

	for (int number = 1; number <= 64; number++) {
		/* The C library's own. */
		if (number == 32 || number == 33)
			continue;
		must(sigaction(number, NULL, &after));
		if (after.sa_sigaction != before[number].sa_sigaction || after.sa_flags != before[number].sa_flags)
			fail("signal %d: expected handler %p flags %#x, found %p %#x", number,
			     (void *)before[number].sa_sigaction, before[number].sa_flags,
			     (void *)after.sa_sigaction, after.sa_flags);
		for (int member = 1; member <= 64; member++)
			if (sigismember(&after.sa_mask, member) != sigismember(&before[number].sa_mask, member))
				fail("signal %d: %d in its mask: found %d", number, member,
				     sigismember(&after.sa_mask, member));
	}
	must(raise(SIGUSR1));
	expect(seen, SIGUSR1);
	expect_between(seen_at, stack, stack + sizeof stack);
	must(raise(SIGUSR2));
	expect(seen, SIGUSR2);
	if (seen_at >= (uintptr_t)stack && seen_at < (uintptr_t)(stack + sizeof stack))
		fail("a handler without SA_ONSTACK ran on the alternate stack");
	must(raise(SIGRTMIN + 3));
	expect(seen, SIGRTMIN + 3);
	must(sigaction(SIGRTMIN + 3, NULL, &after));
	expect(after.sa_handler == SIG_DFL, true);
	must(raise(SIGPIPE));
	return pass();
}
