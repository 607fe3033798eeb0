/* Memory that is written, given up, moved, hidden and mapped anew all the time: what a dump takes over from an earlier one
 * is what was not touched since then. */
#include "program.h"
#include <stdatomic.h>

#define CHUNKS 16
#define PAGES 64 /* of a chunk */
#define PAGE 4096
#define STILL (80 << 20)
#define HIDDEN (4 << 20)
#define WORDS (PAGE / sizeof(uint64_t))

static uint64_t *chunks[CHUNKS];
/* What each page has: 0 is zeros. */
static uint64_t contents[CHUNKS][PAGES];
static atomic_bool is_over;

static uint64_t word(uint64_t content, int chunk, int page, int nth)
{
	return content ? (content * 0x9e3779b97f4a7c15UL) ^ (uint64_t)((chunk * PAGES + page) * WORDS + nth) : 0;
}

static uint64_t *map_chunk(void)
{
	return must_map(mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void write_page(uint64_t *words, uint64_t content, int chunk, int page)
{
	for (int nth = 0; nth < (int)WORDS; nth++)
		words[nth] = word(content, chunk, page, nth);
}

static void check_pages(void)
{
	for (int chunk = 0; chunk < CHUNKS; chunk++)
		for (int page = 0; page < PAGES; page++)
			for (int nth = 0; nth < (int)WORDS; nth++) {
				uint64_t expected = word(contents[chunk][page], chunk, page, nth);
				uint64_t found = chunks[chunk][page * WORDS + nth];
				if (found != expected)
					fail("chunk %d page %d word %d: expected %#lx, found %#lx", chunk, page, nth, expected, found);
			}
}

static void *change(void *unused)
{
	(void)unused;
	int pipe[2];
	must(pipe2(pipe, 0));
	uint64_t random = 88172645463325252UL;
	for (uint64_t content = 1; !is_over; content++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		int chunk = random % CHUNKS, page = random / CHUNKS % PAGES;
		uint64_t *at = chunks[chunk] + page * WORDS;
		switch (random / CHUNKS / PAGES % 32) {
		case 0: /* given up */
			must(madvise(at, PAGE, MADV_DONTNEED));
			contents[chunk][page] = 0;
			break;
		case 1: { /* moved, and another at its place */
			uint64_t *to = map_chunk();
			to = must_map(mremap(chunks[chunk], PAGES * PAGE, PAGES * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to));
			int other = (chunk + 1) % CHUNKS;
			uint64_t *old = chunks[chunk];
			must(munmap(chunks[other], PAGES * PAGE));
			chunks[chunk] = to;
			chunks[other] = must_map(mmap(old, PAGES * PAGE, PROT_READ | PROT_WRITE,
						      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
			memset(contents[other], 0, sizeof contents[other]);
			break;
		}
		case 2: { /* written by the kernel */
			uint64_t words[WORDS];
			write_page(words, content, chunk, page);
			if (write(pipe[1], words, PAGE) != PAGE || read(pipe[0], at, PAGE) != PAGE)
				fail("pipe");
			contents[chunk][page] = content;
			break;
		}
		case 3: /* read only for a moment */
			must(mprotect(chunks[chunk], PAGES * PAGE, PROT_READ));
			must(mprotect(chunks[chunk], PAGES * PAGE, PROT_READ | PROT_WRITE));
			break;
		default:
			write_page(at, content, chunk, page);
			contents[chunk][page] = content;
		}
		if (content % 64 == 0)
			usleep(1000);
	}
	return NULL;
}

/* Nobody may read it, except now and then. */
static void *hide(void *memory)
{
	while (!is_over) {
		must(mprotect(memory, HIDDEN, PROT_READ));
		usleep(500);
		must(mprotect(memory, HIDDEN, PROT_NONE));
		usleep(500);
	}
	return NULL;
}

static void expect_still(const uint64_t *memory, int words)
{
	for (int nth = 0; nth < words; nth++)
		if (memory[nth] != word(1, 0, 0, nth))
			fail("still word %d: found %#lx", nth, memory[nth]);
}

int main(void)
{
	for (int chunk = 0; chunk < CHUNKS; chunk++)
		chunks[chunk] = map_chunk();
	/* Most of it does not change any more; so much that a dump copies it while it runs. */
	uint64_t *still = must_map(mmap(NULL, STILL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	for (int nth = 0; nth < STILL / 8; nth++)
		still[nth] = word(1, 0, 0, nth);
	uint64_t *hidden[2];
	for (int nth = 0; nth < 2; nth++) {
		hidden[nth] = must_map(mmap(NULL, HIDDEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		memcpy(hidden[nth], still, HIDDEN);
		must(mprotect(hidden[nth], HIDDEN, PROT_NONE));
	}
	pthread_t threads[2];
	if (pthread_create(&threads[0], NULL, change, NULL) || pthread_create(&threads[1], NULL, hide, hidden[1]))
		fail("thread");

	hold();

	is_over = true;
	for (int nth = 0; nth < 2; nth++)
		pthread_join(threads[nth], NULL);
	check_pages();
	expect_still(still, STILL / 8);
	for (int nth = 0; nth < 2; nth++) {
		must(mprotect(hidden[nth], HIDDEN, PROT_READ));
		expect_still(hidden[nth], HIDDEN / 8);
	}
	return pass();
}
