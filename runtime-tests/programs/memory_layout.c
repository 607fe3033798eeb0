/* The heap's end, a stack that grows, addresses of code, arguments and the vdso as the kernel knows them. */
#include "program.h"
#include <sys/auxv.h>

#define PAGE 4096

/* Fields 26 to 28 and 45 to 51 of /proc/self/stat. */
static void read_layout(unsigned long layout[10])
{
	char text[1024];
	read_file("/proc/self/stat", text, sizeof text);
	char *field = strrchr(text, ')') + 2;
	for (int number = 3, at = 0; at < 10; number++) {
		if ((number >= 26 && number <= 28) || (number >= 45 && number <= 51))
			layout[at++] = strtoul(field, NULL, 10);
		field = strchr(field, ' ') + 1;
	}
}

static int deep(int depth)
{
	volatile char frame[8 * PAGE];
	frame[0] = (char)depth;
	return depth == 0 ? 0 : deep(depth - 1) + frame[0] - (char)depth;
}

int main(void)
{
	unsigned long before[10], after[10];
	char *start = sbrk(0);
	must(brk(start + 10 * PAGE + 123));
	fill(start, 10 * PAGE + 123, 1);
	/* A mapping that grows down, with a page in use. */
	unsigned char *room = must_map(mmap(NULL, 512 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	must(munmap(room, 512 * PAGE));
	unsigned char *growing = must_map(mmap(room + 500 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE,
					       MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED_NOREPLACE, -1, 0));
	fill(growing, 2 * PAGE, 2);
	unsigned long vdso = getauxval(AT_SYSINFO_EHDR);
	unsigned char header[4];
	memcpy(header, (void *)vdso, 4);
	read_layout(before);

	hold();

	read_layout(after);
	/* The stack pointer and the instruction pointer (28 is the stack's start) say nothing here. */
	for (int at = 0; at < 10; at++)
		expect(after[at], before[at]);
	expect((char *)sbrk(0) - start, 10 * PAGE + 123);
	expect_filled(start, 10 * PAGE + 123, 1);
	must(brk(start + 20 * PAGE));
	expect(is_zero(start + 10 * PAGE + 123, 9 * PAGE), true);
	must(brk(start));
	expect_filled(growing, 2 * PAGE, 2);
	for (int page = 1; page <= 50; page++)
		growing[-page * PAGE] = (unsigned char)page;
	expect(deep(100), 0);
	expect(getauxval(AT_SYSINFO_EHDR), vdso);
	expect_bytes((void *)vdso, header, 4);
	now(CLOCK_MONOTONIC);
	return pass();
}
