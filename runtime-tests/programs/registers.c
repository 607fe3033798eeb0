/* General, x87, SSE, AVX and AVX-512 registers of threads that are in user mode all the time. */
#include "program.h"

#if !defined(__x86_64__)
#error "the registers of this architecture are missing"
#endif
#include <cpuid.h>

volatile int go_on __attribute__((used));

/*
 * Each function loads its registers from `values`, loops until go_on is set, which takes no register, and stores them
 * into `found`.
 */
void hold_general(const uint64_t values[17], uint64_t found[17]);
void hold_x87(const double values[8], void *found, void *environment);
void hold_sse(const void *values, void *found);
void hold_avx(const void *values, void *found);
void hold_avx512(const void *values, void *found);

__asm__(".text\n"
	".globl hold_general\n"
	"hold_general:\n"
	"	push %rbx\n	push %rbp\n	push %r12\n	push %r13\n	push %r14\n	push %r15\n"
	"	push %rsi\n"
	"	mov 0(%rdi), %rax\n	mov 8(%rdi), %rbx\n	mov 16(%rdi), %rcx\n	mov 24(%rdi), %rdx\n"
	"	mov 32(%rdi), %rsi\n	mov 40(%rdi), %rbp\n	mov 48(%rdi), %r8\n	mov 56(%rdi), %r9\n"
	"	mov 64(%rdi), %r10\n	mov 72(%rdi), %r11\n	mov 80(%rdi), %r12\n	mov 88(%rdi), %r13\n"
	"	mov 96(%rdi), %r14\n	mov 104(%rdi), %r15\n	mov 112(%rdi), %rdi\n"
	/* The direction flag is state as well, and the comparison does not change it. */
	"	std\n"
	"1:	cmpl $0, go_on(%rip)\n"
	"	je 1b\n"
	"	pushf\n"
	"	cld\n"
	"	push %rdi\n"
	"	mov 16(%rsp), %rdi\n"
	"	mov %rax, 0(%rdi)\n	mov %rbx, 8(%rdi)\n	mov %rcx, 16(%rdi)\n	mov %rdx, 24(%rdi)\n"
	"	mov %rsi, 32(%rdi)\n	mov %rbp, 40(%rdi)\n	mov %r8, 48(%rdi)\n	mov %r9, 56(%rdi)\n"
	"	mov %r10, 64(%rdi)\n	mov %r11, 72(%rdi)\n	mov %r12, 80(%rdi)\n	mov %r13, 88(%rdi)\n"
	"	mov %r14, 96(%rdi)\n	mov %r15, 104(%rdi)\n"
	"	pop %rax\n	mov %rax, 112(%rdi)\n"
	"	pop %rax\n	and $0x400, %rax\n	mov %rax, 120(%rdi)\n"
	"	pop %rsi\n"
	"	pop %r15\n	pop %r14\n	pop %r13\n	pop %r12\n	pop %rbp\n	pop %rbx\n"
	"	ret\n"
	".globl hold_x87\n"
	"hold_x87:\n"
	"	fninit\n"
	"	fldl 0(%rdi)\n	fldl 8(%rdi)\n	fldl 16(%rdi)\n	fldl 24(%rdi)\n"
	"	fldl 32(%rdi)\n	fldl 40(%rdi)\n	fldl 48(%rdi)\n	fldl 56(%rdi)\n"
	"	fldcw 64(%rdi)\n"
	"1:	cmpl $0, go_on(%rip)\n"
	"	je 1b\n"
	"	fnstcw (%rdx)\n"
	"	fnstsw 2(%rdx)\n"
	"	fstpl 56(%rsi)\n	fstpl 48(%rsi)\n	fstpl 40(%rsi)\n	fstpl 32(%rsi)\n"
	"	fstpl 24(%rsi)\n	fstpl 16(%rsi)\n	fstpl 8(%rsi)\n	fstpl 0(%rsi)\n"
	"	fninit\n"
	"	ret\n"
	/* mxcsr lies behind the registers. */
	".altmacro\n"
	".macro load_one number, instruction, register, size\n"
	"	\\instruction \\number*\\size(%rdi), %\\register\\number\n"
	".endm\n"
	".macro store_one number, instruction, register, size\n"
	"	\\instruction %\\register\\number, \\number*\\size(%rsi)\n"
	".endm\n"
	".macro load count, instruction, register, size\n"
	"	.set number, 0\n"
	"	.rept \\count\n"
	"	load_one %number, \\instruction, \\register, \\size\n"
	"	.set number, number + 1\n"
	"	.endr\n"
	".endm\n"
	".macro store count, instruction, register, size\n"
	"	.set number, 0\n"
	"	.rept \\count\n"
	"	store_one %number, \\instruction, \\register, \\size\n"
	"	.set number, number + 1\n"
	"	.endr\n"
	".endm\n"
	".macro hold\n"
	"	ldmxcsr 2112(%rdi)\n"
	"1:	cmpl $0, go_on(%rip)\n"
	"	je 1b\n"
	"	stmxcsr 2112(%rsi)\n"
	".endm\n"
	".globl hold_sse\n"
	"hold_sse:\n"
	"	load 16, movups, xmm, 16\n"
	"	hold\n"
	"	store 16, movups, xmm, 16\n"
	"	ret\n"
	".globl hold_avx\n"
	"hold_avx:\n"
	"	load 16, vmovups, ymm, 32\n"
	"	hold\n"
	"	store 16, vmovups, ymm, 32\n"
	"	vzeroall\n"
	"	ret\n"
	".globl hold_avx512\n"
	"hold_avx512:\n"
	"	load 32, vmovups, zmm, 64\n"
	"	kmovq 2048(%rdi), %k1\n	kmovq 2056(%rdi), %k2\n	kmovq 2064(%rdi), %k3\n	kmovq 2072(%rdi), %k4\n"
	"	kmovq 2080(%rdi), %k5\n	kmovq 2088(%rdi), %k6\n	kmovq 2096(%rdi), %k7\n	kmovq 2104(%rdi), %k0\n"
	"	hold\n"
	"	store 32, vmovups, zmm, 64\n"
	"	kmovq %k1, 2048(%rsi)\n	kmovq %k2, 2056(%rsi)\n	kmovq %k3, 2064(%rsi)\n	kmovq %k4, 2072(%rsi)\n"
	"	kmovq %k5, 2080(%rsi)\n	kmovq %k6, 2088(%rsi)\n	kmovq %k7, 2096(%rsi)\n	kmovq %k0, 2104(%rsi)\n"
	"	vzeroall\n"
	"	ret\n"
	".noaltmacro\n");

/* Room for 32 registers of 64 bytes, 8 masks of 8 bytes, and mxcsr. */
#define VECTORS 2112

static void on_sigterm(int signal)
{
	(void)signal;
	go_on = 1;
}

static void *x87(void *argument)
{
	struct {
		double values[8];
		uint16_t control;
	} in = { { 1.5, -2.25, 3.125, 1e300, -1e-300, 0.1, 7, 8 }, 0x0b7f };
	double found[8];
	uint16_t environment[2];
	hold_x87(in.values, found, environment);
	expect_bytes(found, in.values, sizeof found);
	expect(environment[0], in.control);
	/* Eight registers are in use: the top is the first again, and there was no exception. */
	expect(environment[1] & 0x38ff, 0);
	return argument;
}

struct vectors {
	void (*hold)(const void *, void *);
	size_t size, masks;
};

static void *vectors(void *argument)
{
	const struct vectors *kind = argument;
	unsigned char values[VECTORS + 4], found[VECTORS + 4] = { 0 };
	/* Round down, flush to zero, all exceptions masked. */
	const uint32_t mxcsr = 0xbf80;
	uint32_t found_mxcsr;
	fill(values, VECTORS, kind->size);
	memcpy(values + VECTORS, &mxcsr, 4);
	kind->hold(values, found);
	__asm__ volatile("ldmxcsr %0" : : "m"((uint32_t){ 0x1f80 }));
	memcpy(&found_mxcsr, found + VECTORS, 4);
	expect(found_mxcsr, mxcsr);
	expect_bytes(found, values, kind->size);
	expect_bytes(found + 2048, values + 2048, kind->masks);
	return NULL;
}

/* Whether the kernel saves these state components (XCR0). */
static bool enabled(unsigned components)
{
	unsigned a, b, c, d, low, high;
	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
		return false;
	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return (low & components) == components;
}

static bool has_avx512bw(void)
{
	unsigned a, b, c, d;
	return enabled(0xe6) && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX512BW);
}

int main(void)
{
	uint64_t values[17], found[17] = { 0 };
	pthread_t threads[4];
	int count = 0;
	struct vectors sse = { hold_sse, 16 * 16, 0 }, avx = { hold_avx, 16 * 32, 0 },
		       avx512 = { hold_avx512, 32 * 64, 8 * 8 };
	must_zero(pthread_create(&threads[count++], NULL, x87, NULL));
	must_zero(pthread_create(&threads[count++], NULL, vectors, &sse));
	if (enabled(6))
		must_zero(pthread_create(&threads[count++], NULL, vectors, &avx));
	if (has_avx512bw())
		must_zero(pthread_create(&threads[count++], NULL, vectors, &avx512));
	must(sigaction(SIGTERM, &(struct sigaction){ .sa_handler = on_sigterm }, NULL));
	sigset_t none;
	sigemptyset(&none);
	fill(values, sizeof values, 1);
	values[15] = 0x400;

	announce();
	must_zero(pthread_sigmask(SIG_SETMASK, &none, NULL));
	hold_general(values, found);

	expect_bytes(found, values, 16 * sizeof found[0]);
	while (count > 0)
		must_zero(pthread_join(threads[--count], NULL));
	return pass();
}
