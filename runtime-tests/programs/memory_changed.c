/* Memory of which much is moved, given up, protected, inherited and read by the kernel as soon as the program goes on. */
#include "program.h"

#define PAGE 4096L
#define SIZE (64L << 20)
#define PAGES (SIZE / PAGE)
#define PART (4L << 20)
#define THREADS 4

static uint64_t value_of(long page, long word)
{
	return (uint64_t)(page * 512 + word + 1) * 0x9e3779b97f4a7c15UL;
}

static void write_pages(void *memory, long first, long count)
{
	uint64_t *words = memory;
	for (long page = 0; page < count; page++)
		for (long word = 0; word < 512; word++)
			words[page * 512 + word] = value_of(first + page, word);
}

static void check_pages(const void *memory, long first, long count)
{
	const uint64_t *words = memory;
	for (long page = 0; page < count; page++)
		for (long word = 0; word < 512; word++)
			if (words[page * 512 + word] != value_of(first + page, word))
				fail("page %ld, word %ld: expected %#lx, found %#lx", first + page, word,
				     value_of(first + page, word), words[page * 512 + word]);
}

static char *memory;

/* From the end, so that nobody else has been there. */
static void *check_backwards(void *nth)
{
	for (long page = PAGES - 1 - (long)nth; page >= PAGES / 2; page -= THREADS)
		check_pages(memory + page * PAGE, page, 1);
	return NULL;
}

static char *part(long nth)
{
	return memory + nth * PART;
}

static void check_part(const char *at, long nth)
{
	check_pages(at, nth * PART / PAGE, PART / PAGE);
}

int main(void)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	memory = must_map(mmap(NULL, SIZE, PROT_READ | PROT_WRITE, flags, -1, 0));
	write_pages(memory, 0, PAGES);
	/* Pages that only one of both has changed. */
	int inherited[2], held[2];
	must(pipe(inherited));
	must(pipe(held));
	pid_t child = must(fork());
	if (child == 0) {
		char byte;
		write_pages(part(7), 1000000, PART / PAGE);
		must(write(held[1], "h", 1));
		must(read(inherited[0], &byte, 1));
		check_pages(part(7), 1000000, PART / PAGE);
		check_part(part(6), 6);
		check_part(part(0), 0);
		_exit(0);
	}
	char byte;
	must(read(held[0], &byte, 1));
	void *readable = must_map(mmap(NULL, PART, PROT_READ | PROT_WRITE, flags, -1, 0));
	write_pages(readable, 2000000, PART / PAGE);
	must(mprotect(readable, PART, PROT_READ));

	hold();

	/* The kernel reads and writes, for the program. */
	int ends[2];
	must(pipe(ends));
	char page[PAGE];
	expect(write(ends[1], memory + 3 * PAGE, PAGE), PAGE);
	expect(read(ends[0], page, PAGE), PAGE);
	check_pages(page, 3, 1);
	expect(write(ends[1], "xy", 2), 2);
	expect(read(ends[0], memory + 5 * PAGE + 8, 2), 2);
	expect(memory[5 * PAGE + 8], 'x');
	expect(*(uint64_t *)(memory + 5 * PAGE), value_of(5, 0));
	expect(*(uint64_t *)(memory + 5 * PAGE + 16), value_of(5, 2));

	/* Moved away, to a place that is free and to one that is taken. */
	char *moved = must_map(mremap(part(1), PART, PART, MREMAP_MAYMOVE | MREMAP_FIXED,
				      must_map(mmap(NULL, PART, PROT_NONE, flags, -1, 0))));
	check_pages(moved + PART - PAGE, 2 * PART / PAGE - 1, 1);
	char *over = must_map(mremap(part(2), PART, PART, MREMAP_MAYMOVE | MREMAP_FIXED, part(3)));
	check_part(over, 2);
	check_part(moved, 1);

	/* Given up, and mapped anew. */
	must(madvise(part(4), PART, MADV_DONTNEED));
	expect(is_zero(part(4), PART), true);
	must(munmap(part(5), PART));
	must_map(mmap(part(5), PART, PROT_READ | PROT_WRITE, flags | MAP_FIXED, -1, 0));
	expect(is_zero(part(5), PART), true);

	/* Split into many mappings, and larger than before. */
	for (long at = 0; at < PART; at += 2 * PAGE)
		must(mprotect(part(6) + at, PAGE, PROT_READ));
	check_part(part(6), 6);
	check_pages(readable, 2000000, PART / PAGE);
	char *larger = must_map(mremap(readable, PART, 2 * PART, MREMAP_MAYMOVE));
	check_pages(larger, 2000000, PART / PAGE);
	expect(is_zero(larger + PART, PART), true);

	/* Children and their children have what is not there yet, too. */
	pid_t next = must(fork());
	if (next == 0) {
		pid_t last = must(fork());
		if (last == 0) {
			check_pages(part(0) + 16 * PAGE, 16, PART / PAGE - 16);
			_exit(0);
		}
		check_pages(memory + PAGES / 2 * PAGE, PAGES / 2, PAGES / 2);
		expect_success(last);
		_exit(0);
	}
	must(write(inherited[1], "i", 1));
	pthread_t threads[THREADS];
	for (long nth = 0; nth < THREADS; nth++)
		must_zero(pthread_create(&threads[nth], NULL, check_backwards, (void *)nth));
	for (long nth = 0; nth < THREADS; nth++)
		must_zero(pthread_join(threads[nth], NULL));
	check_part(part(7), 7);
	expect_success(next);
	expect_success(child);
	return pass();
}
