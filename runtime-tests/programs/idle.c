/* One task that does nothing: what every other program has as well. */
#include "program.h"

static int data = 0x600d;
static int bss;

int main(int argc, char **argv)
{
	char *heap = must_map(malloc(100000));
	char comm[32];
	pid_t pid = getpid(), parent = getppid(), session = getsid(0), group = getpgid(0);
	bss = 0xb55;
	fill(heap, 100000, 1);

	hold();

	expect(data, 0x600d);
	expect(bss, 0xb55);
	expect_filled(heap, 100000, 1);
	expect(argc, 1);
	expect_text(argv[0], "/bin/idle");
	expect_text(getenv("PATH"), "/bin");
	expect(getpid(), pid);
	expect(getppid(), parent);
	expect(getsid(0), session);
	expect(getpgid(0), group);
	expect_text(read_file("/proc/self/comm", comm, sizeof comm), "idle\n");
	return pass();
}
