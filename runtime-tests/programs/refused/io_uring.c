/* An io_uring without work. */
#include "../program.h"
#include <linux/io_uring.h>

int main(void)
{
	struct io_uring_params parameters = { 0 };
	int fd = must(syscall(SYS_io_uring_setup, 8, &parameters));

	hold();

	must(syscall(SYS_io_uring_enter, fd, 0, 0, 0, NULL, 0));
	return pass();
}
