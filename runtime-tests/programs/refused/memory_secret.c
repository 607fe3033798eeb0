/* Memory that even the kernel does not see (memfd_secret). */
#include "../program.h"

int main(void)
{
	int fd = must(syscall(SYS_memfd_secret, 0));
	must(ftruncate(fd, 4096));
	char *memory = must_map(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	strcpy(memory, "secret");
	close(fd);

	hold();

	expect_text(memory, "secret");
	return pass();
}
