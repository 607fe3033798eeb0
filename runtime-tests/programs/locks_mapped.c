/* A POSIX lock on a file that is also mapped: closing any descriptor of the file in the process would drop the lock. */
#include "program.h"

int main(void)
{
	int fd = must(open("/data/mapped", O_RDWR | O_CREAT, 0600));
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 128, .l_len = 1 };
	must(ftruncate(fd, 32768));
	char *memory = must_map(mmap(NULL, 32768, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	must_map(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0));
	must(fcntl(fd, F_SETLK, &lock));
	strcpy(memory, "content");

	hold();

	expect_text(memory, "content");
	pid_t child = must(fork());
	if (child == 0) {
		lock.l_type = F_WRLCK;
		must(fcntl(fd, F_GETLK, &lock));
		expect(lock.l_type, F_RDLCK);
		expect(lock.l_pid, getppid());
		_exit(0);
	}
	expect_success(child);
	return pass();
}
