/* A parent that waits for its vfork child, which neither executes anything nor ends. */
#include "../program.h"

static volatile pid_t parent;
static volatile int ended;
static int status;

static void *wait_for_vfork(void *argument)
{
	parent = gettid();
	pid_t child = vfork();
	if (child == 0) {
		/* Shares our memory, but is a process of its own. */
		wait_for_sigterm();
		_exit(6);
	}
	expect(must(waitpid(child, &status, 0)), child);
	raise_flag(&ended);
	return argument;
}

int main(void)
{
	pthread_t thread;
	char path[64], text[64];
	must_zero(pthread_create(&thread, NULL, wait_for_vfork, NULL));
	while (parent == 0)
		pause_ms(1);
	/* Only so long as it waits for the child it is in this state. */
	wait_for_state(parent, 'D');

	hold();

	expect(ended, 0);
	snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)parent);
	read_file(path, text, sizeof text);
	must(kill(atoi(text), SIGTERM));
	must_zero(pthread_join(thread, NULL));
	expect(status, 6 << 8);
	return pass();
}
