/* Limits of memory below what is in use: nothing can be mapped any more, whoever asks. */
#include "program.h"
#include <sys/resource.h>

int main(void)
{
	struct rlimit space = { 1 << 16, 1 << 24 }, data = { 1 << 16, 1 << 24 }, found;
	must(setrlimit(RLIMIT_DATA, &data));
	must(setrlimit(RLIMIT_AS, &space));

	hold();

	must(getrlimit(RLIMIT_AS, &found));
	expect(found.rlim_cur, space.rlim_cur);
	expect(found.rlim_max, space.rlim_max);
	must(getrlimit(RLIMIT_DATA, &found));
	expect(found.rlim_cur, data.rlim_cur);
	void *memory = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	expect(memory == MAP_FAILED && errno == ENOMEM, true);
	return pass();
}
