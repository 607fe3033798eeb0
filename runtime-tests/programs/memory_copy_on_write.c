/* Memory that a child has inherited and neither has changed: still one copy, and still two when one writes. */
#include "program.h"

#define SIZE (16 << 20)
#define PAGE 4096

/* Kilobytes of the mapping at an address that no other process has. */
static long private_kb(const void *address)
{
	static char text[1 << 20];
	char start[32];
	long clean, dirty;
	read_file("/proc/self/smaps", text, sizeof text);
	snprintf(start, sizeof start, "%lx-", (unsigned long)address);
	char *entry = strstr(text, start);
	if (entry == NULL)
		fail("no mapping at %p", address);
	char *line = strstr(entry, "Private_Clean:");
	if (line == NULL || sscanf(line, "Private_Clean: %ld kB Private_Dirty: %ld", &clean, &dirty) != 2)
		fail("smaps: %.200s", line ? line : "");
	return clean + dirty;
}

int main(void)
{
	volatile int *flags = share(PAGE);
	unsigned char *area = must_map(mmap(NULL, SIZE + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	unsigned char *memory = area + PAGE;
	must(mprotect(memory, SIZE, PROT_READ | PROT_WRITE));
	must(madvise(memory, SIZE, MADV_NOHUGEPAGE));
	fill(memory, SIZE, 1);
	pid_t child = must(fork());
	if (child == 0) {
		/* One megabyte of its own. */
		fill(memory + SIZE / 2, 1 << 20, 2);
		expect(private_kb(memory), 1024);
		raise_flag(&flags[0]);
		wait_for_sigterm();
		expect_between(private_kb(memory), 1024, 2048);
		expect_filled(memory + SIZE / 2, 1 << 20, 2);
		memory[0] ^= 0xff;
		raise_flag(&flags[1]);
		wait_for_sigterm();
		_exit(0);
	}
	wait_for_flag(&flags[0], 1);

	hold();

	expect_filled(memory, SIZE, 1);
	expect_between(private_kb(memory), 1024, 2048);
	must(kill(child, SIGTERM));
	wait_for_flag(&flags[1], 1);
	expect_filled(memory, SIZE, 1);
	must(kill(child, SIGTERM));
	expect_success(child);
	return pass();
}
