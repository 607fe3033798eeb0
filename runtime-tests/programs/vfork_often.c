/* Children of vfork all the time: each shares its parent's memory until it executes a program, which takes a moment. */
#include "program.h"

static volatile int stop;
static volatile int children;

static void *make_children(void *argument)
{
	static char *const arguments[] = { "child", "child", NULL }, *const environment[] = { NULL };
	while (!stop) {
		pid_t child = vfork();
		if (child == 0) {
			struct timespec moment = { 0, MILLISECOND };
			nanosleep(&moment, NULL);
			execve("/proc/self/exe", arguments, environment);
			_exit(1);
		}
		expect_success(must(child));
		children++;
	}
	return argument;
}

int main(int count, char **arguments)
{
	pthread_t thread;
	if (count > 1 && strcmp(arguments[1], "child") == 0)
		return 0;
	must_zero(pthread_create(&thread, NULL, make_children, NULL));
	while (children == 0)
		pause_ms(1);

	hold();

	int before = children;
	for (int tries = 0; children < before + 3; tries++) {
		if (tries > 20000)
			fail("children: expected more than %d", before);
		pause_ms(1);
	}
	stop = 1;
	must_zero(pthread_join(thread, NULL));
	return pass();
}
