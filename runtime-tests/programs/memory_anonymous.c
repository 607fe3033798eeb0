/* Private anonymous memory: readable and writable, read-only, without access, executable, with holes, large and small. */
#include "program.h"

#define PAGE 4096

/* The permissions of the mapping that starts at an address, and its length. */
static void expect_mapping(const void *address, size_t size, const char *permissions)
{
	static char text[1 << 20];
	char *line;
	read_file("/proc/self/maps", text, sizeof text);
	for (line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
		unsigned long start, end;
		char found[5];
		if (sscanf(line, "%lx-%lx %4s", &start, &end, found) != 3)
			fail("maps: %s", line);
		if (start != (unsigned long)address)
			continue;
		expect_text(found, permissions);
		expect(end - start, size);
		return;
	}
	fail("no mapping at %p", address);
}

/* A mapping between two pages that are not mapped, so that the kernel joins it with nothing. */
static unsigned char *map(size_t size, int protection)
{
	unsigned char *area = must_map(mmap(NULL, size + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	must(munmap(area, PAGE));
	must(munmap(area + PAGE + size, PAGE));
	must(mprotect(area + PAGE, size, protection));
	return area + PAGE;
}

int main(void)
{
	unsigned char *plain = map(64 * PAGE, PROT_READ | PROT_WRITE);
	unsigned char *read_only = map(8 * PAGE, PROT_READ | PROT_WRITE);
	unsigned char *none = map(8 * PAGE, PROT_READ | PROT_WRITE);
	unsigned char *code = map(PAGE, PROT_READ | PROT_WRITE);
	unsigned char *untouched = map(16 * PAGE, PROT_READ | PROT_WRITE);
	unsigned char *sparse = map(1024 * PAGE, PROT_READ | PROT_WRITE);
	unsigned char *zeros = map(16 * PAGE, PROT_READ | PROT_WRITE);
	unsigned char *dropped = map(4 * PAGE, PROT_READ | PROT_WRITE);
	fill(plain, 64 * PAGE, 1);
	fill(read_only, 8 * PAGE, 2);
	must(mprotect(read_only, 8 * PAGE, PROT_READ));
	fill(none, 8 * PAGE, 3);
	must(mprotect(none, 8 * PAGE, PROT_NONE));
#if defined(__x86_64__)
	/* mov $1234, %eax; ret */
	const unsigned char function[] = { 0xb8, 0xd2, 0x04, 0, 0, 0xc3 };
#elif defined(__aarch64__)
	/* mov w0, #1234; ret */
	const unsigned char function[] = { 0x40, 0x9a, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6 };
#endif
	memcpy(code, function, sizeof function);
	must(mprotect(code, PAGE, PROT_READ | PROT_EXEC));
	__builtin___clear_cache((char *)code, (char *)code + PAGE);
	for (int at = 0; at < 1024; at += 7)
		fill(sparse + at * PAGE, PAGE, at);
	memset(zeros, 0, 16 * PAGE);
	fill(dropped, 4 * PAGE, 4);

	hold();

	expect_mapping(plain, 64 * PAGE, "rw-p");
	expect_filled(plain, 64 * PAGE, 1);
	expect_mapping(read_only, 8 * PAGE, "r--p");
	expect_filled(read_only, 8 * PAGE, 2);
	expect_mapping(none, 8 * PAGE, "---p");
	must(mprotect(none, 8 * PAGE, PROT_READ));
	expect_filled(none, 8 * PAGE, 3);
	expect_mapping(code, PAGE, "r-xp");
	expect(((int (*)(void))code)(), 1234);
	expect_mapping(untouched, 16 * PAGE, "rw-p");
	expect(is_zero(untouched, 16 * PAGE), true);
	for (int at = 0; at < 1024; at++) {
		if (at % 7 == 0)
			expect_filled(sparse + at * PAGE, PAGE, at);
		else
			expect(is_zero(sparse + at * PAGE, PAGE), true);
	}
	expect(is_zero(zeros, 16 * PAGE), true);
	/* What is given back comes as zeros, never as what was in an image. */
	must(madvise(dropped, 4 * PAGE, MADV_DONTNEED));
	expect(is_zero(dropped, 4 * PAGE), true);
	must(madvise(plain, 4 * PAGE, MADV_FREE));
	fill(plain, 64 * PAGE, 5);
	expect_filled(plain, 64 * PAGE, 5);
	return pass();
}
