/* Memory whose missing pages somebody in the container brings. */
#include "../program.h"
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

int main(void)
{
	int fd = must(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY));
	struct uffdio_api api = { .api = UFFD_API };
	must(ioctl(fd, UFFDIO_API, &api));
	void *memory = must_map(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	struct uffdio_register area = { .range = { (uintptr_t)memory, 4096 }, .mode = UFFDIO_REGISTER_MODE_MISSING };
	must(ioctl(fd, UFFDIO_REGISTER, &area));

	hold();

	struct uffdio_zeropage zero = { .range = { (uintptr_t)memory, 4096 } };
	must(ioctl(fd, UFFDIO_ZEROPAGE, &zero));
	expect(is_zero(memory, 4096), true);
	return pass();
}
