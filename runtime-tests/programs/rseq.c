/* Restartable sequences: the registration, the processor's number in it, and a sequence that is never interrupted unseen. */
#include "program.h"
#include <linux/rseq.h>
#include <sched.h>
#include <sys/rseq.h>

static volatile int ready, go_on;
static volatile long aborts;

static struct rseq *own(void)
{
	return (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

static void expect_registered(void)
{
	expect_between(__rseq_size, 20, 1024);
	/* The kernel says this only when the same area is registered again. */
	expect_error(syscall(SYS_rseq, own(), 32, 0, RSEQ_SIG), EBUSY);
	cpu_set_t set;
	must(sched_getaffinity(0, sizeof set, &set));
	expect(CPU_ISSET((int)own()->cpu_id, &set) != 0, true);
}

/* Loops in a critical section until go_on: every interruption goes to the abort handler, which begins anew. */
static void *sequence(void *argument)
{
	raise_flag(&ready);
	__asm__ volatile(
		".pushsection __rseq_cs, \"aw\"\n"
		".balign 32\n"
		"3:	.long 0, 0\n"
		"	.quad 1f, 2f - 1f, 4f\n"
		".popsection\n"
		"5:	lea 3b(%%rip), %%rax\n"
		"	mov %%rax, %c[offset](%[area])\n"
		"1:	cmpl $0, %[go_on]\n"
		"	je 1b\n"
		"2:	jmp 6f\n"
		"	.byte 0x0f, 0xb9, 0x3d\n"
		"	.long 0x53053053\n"
		"4:	incq %[aborts]\n"
		"	jmp 5b\n"
		"6:\n"
		: [aborts] "+m"(aborts)
		: [area] "r"(own()), [offset] "i"(offsetof(struct rseq, rseq_cs)), [go_on] "m"(go_on)
		: "rax", "memory", "cc");
	own()->rseq_cs = 0;
	expect_registered();
	return argument;
}

int main(void)
{
	pthread_t id;
	expect_registered();
	must_zero(pthread_create(&id, NULL, sequence, NULL));
	wait_for_flag(&ready, 1);
	pause_ms(20);

	hold();

	expect_registered();
	raise_flag(&go_on);
	must_zero(pthread_join(id, NULL));
	return pass();
}
