/* A context for asynchronous I/O. */
#include "../program.h"

int main(void)
{
	unsigned long context = 0;
	must(syscall(SYS_io_setup, 8, &context));

	hold();

	must(syscall(SYS_io_destroy, context));
	return pass();
}
