/* What madvise and mlock have said about memory, as /proc/self/smaps shows it. */
#include "program.h"

#define PAGE 4096
#define SIZE (16 * PAGE)

/* VmFlags of the mapping at an address, all of which start and end with a blank. */
static char *flags_of(const void *address, char *flags, size_t size)
{
	static char text[1 << 20];
	char start[32];
	read_file("/proc/self/smaps", text, sizeof text);
	snprintf(start, sizeof start, "%lx-", (unsigned long)address);
	char *entry = strstr(text, start);
	if (entry == NULL)
		fail("no mapping at %p", address);
	char *line = strstr(entry, "VmFlags:");
	snprintf(flags, size, "%.*s", (int)strcspn(line, "\n"), line);
	return flags;
}

static unsigned char *map(void)
{
	unsigned char *area = must_map(mmap(NULL, SIZE + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	must(mprotect(area + PAGE, SIZE, PROT_READ | PROT_WRITE));
	fill(area + PAGE, SIZE, 1);
	return area + PAGE;
}

int main(void)
{
	static const struct {
		int advice;
		const char *flag;
	} kinds[] = {
		{ MADV_DONTFORK, "dc" },   { MADV_DONTDUMP, "dd" }, { MADV_HUGEPAGE, "hg" },   { MADV_NOHUGEPAGE, "nh" },
		{ MADV_MERGEABLE, "mg" },  { MADV_RANDOM, "rr" },   { MADV_SEQUENTIAL, "sr" }, { MADV_WIPEONFORK, "wf" },
	};
	unsigned char *memory[COUNT(kinds)], *locked = map(), *locked_on_fault = map();
	char before[COUNT(kinds)][256], after[256];
	bool known[COUNT(kinds)];
	must(mlock(locked, SIZE));
	must(mlock2(locked_on_fault, SIZE, MLOCK_ONFAULT));
	for (size_t at = 0; at < COUNT(kinds); at++) {
		memory[at] = map();
		/* A kernel may lack huge pages or merging. */
		known[at] = madvise(memory[at], SIZE, kinds[at].advice) == 0;
		if (!known[at] && errno != EINVAL)
			fail("madvise %d: %s", kinds[at].advice, strerror(errno));
		flags_of(memory[at], before[at], sizeof before[at]);
		if (known[at] && strstr(before[at], kinds[at].flag) == NULL)
			fail("%s is not in %s", kinds[at].flag, before[at]);
	}

	hold();

	for (size_t at = 0; at < COUNT(kinds); at++) {
		flags_of(memory[at], after, sizeof after);
		expect_text(after, before[at]);
		expect_filled(memory[at], SIZE, 1);
	}
	if (strstr(flags_of(locked, after, sizeof after), "lo") == NULL)
		fail("locked memory is not locked: %s", after);
	if (strstr(flags_of(locked_on_fault, after, sizeof after), "lo") == NULL)
		fail("memory that is locked when touched is not: %s", after);
	expect_filled(locked, SIZE, 1);
	return pass();
}
