/* Protection keys: which are allocated, what each thread may do with them, and which memory has them. */
#include "program.h"
#include <setjmp.h>

static sigjmp_buf back;
static volatile int code, ready, go_on;

static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)signal, (void)context;
	code = info->si_code;
	siglongjmp(back, 1);
}

/* The reason of the fault that writing makes, or 0. */
static int fault_at(volatile unsigned char *address)
{
	code = 0;
	if (sigsetjmp(back, 1) == 0)
		*address = 1;
	return code;
}

static int locked;

static void *free_thread(void *memory)
{
	must(pkey_set(locked, 0));
	raise_flag(&ready);
	wait_for_flag(&go_on, 1);
	expect(pkey_get(locked), 0);
	expect(fault_at(memory), 0);
	return NULL;
}

int main(void)
{
	pthread_t thread;
	unsigned char *memory = must_map(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	fill(memory, 8192, 1);
	int gap = pkey_alloc(0, 0);
	if (gap < 0) {
		/* The processor or the kernel has none: nothing to lose. */
		hold();
		return pass();
	}
	locked = must(pkey_alloc(0, PKEY_DISABLE_WRITE));
	must(pkey_free(gap));
	must(pkey_mprotect(memory, 4096, PROT_READ | PROT_WRITE, locked));
	must(sigaction(SIGSEGV, &(struct sigaction){ .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO }, NULL));
	must_zero(pthread_create(&thread, NULL, free_thread, memory));
	wait_for_flag(&ready, 1);

	hold();

	expect_filled(memory, 8192, 1);
	expect(pkey_get(locked), PKEY_DISABLE_WRITE);
	expect(fault_at(memory), SEGV_PKUERR);
	expect(fault_at(memory + 4096), 0);
	raise_flag(&go_on);
	must_zero(pthread_join(thread, NULL));
	/* The lower one is free, ours is not. */
	expect(must(pkey_alloc(0, 0)), gap);
	must(pkey_free(locked));
	return pass();
}
