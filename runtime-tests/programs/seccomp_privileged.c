/* A filter that was installed with CAP_SYS_ADMIN instead of no_new_privs, and refuses what a restorer itself needs. */
#include "seccomp.h"

int main(void)
{
	expect(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
	const int refused[] = { SYS_mmap, SYS_munmap, SYS_mremap, SYS_prctl, SYS_rt_sigaction, SYS_setresuid, SYS_capset };
	for (size_t at = 0; at < COUNT(refused); at++)
		refuse(refused[at], ENOANO);

	hold();

	for (size_t at = 0; at < COUNT(refused); at++)
		expect_error(syscall(refused[at], 0, 0, 0, 0, 0, 0), ENOANO);
	char text[8];
	expect_text(field_of("/proc/self/status", "NoNewPrivs", text, sizeof text), "0");
	expect(filters(), COUNT(refused));
	return pass();
}
