/* The tiles of AMX, which a process has to ask for and which make its state larger than the images of others expect. */
#include "program.h"

#if defined(__x86_64__)
#include <cpuid.h>

#define ARCH_GET_XCOMP_PERM 0x1022
#define ARCH_REQ_XCOMP_PERM 0x1023
#define TILE_DATA 18

static volatile int go_on;

static void on_sigterm(int signal)
{
	(void)signal;
	go_on = 1;
}

int main(void)
{
	unsigned a, b, c, d;
	unsigned long permitted = 0;
	sigset_t none;
	if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & 1 << 24) ||
	    syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) < 0) {
		/* Nothing to lose here. */
		hold();
		return pass();
	}
	/* Palette 1, eight tiles of 16 rows of 64 bytes. */
	struct {
		uint8_t palette, start_row, reserved[14];
		uint16_t bytes[16];
		uint8_t rows[16];
	} configuration = { .palette = 1 }, found_configuration;
	for (int tile = 0; tile < 8; tile++) {
		configuration.bytes[tile] = 64;
		configuration.rows[tile] = 16;
	}
	static unsigned char tiles[2][1024], found[2][1024];
	fill(tiles, sizeof tiles, 1);
	must(sigaction(SIGTERM, &(struct sigaction){ .sa_handler = on_sigterm }, NULL));
	sigemptyset(&none);

	announce();
	must_zero(pthread_sigmask(SIG_SETMASK, &none, NULL));
	/* No system call between loading and storing. */
	__asm__ volatile("ldtilecfg %[configuration]\n\t"
			 "tileloadd (%[first],%[stride]), %%tmm0\n\t"
			 "tileloadd (%[last],%[stride]), %%tmm7\n"
			 "1:	cmpl $0, %[go_on]\n\t"
			 "je 1b\n\t"
			 "tilestored %%tmm0, (%[found_first],%[stride])\n\t"
			 "tilestored %%tmm7, (%[found_last],%[stride])\n\t"
			 "sttilecfg %[found_configuration]\n\t"
			 "tilerelease\n\t"
			 : [found_configuration] "=m"(found_configuration)
			 : [configuration] "m"(configuration), [go_on] "m"(go_on), [first] "r"(tiles[0]),
			   [last] "r"(tiles[1]), [found_first] "r"(found[0]), [found_last] "r"(found[1]),
			   [stride] "r"(64L)
			 : "memory", "cc");

	expect_bytes(&found_configuration, &configuration, sizeof configuration);
	expect_bytes(found, tiles, sizeof tiles);
	must(syscall(SYS_arch_prctl, ARCH_GET_XCOMP_PERM, &permitted));
	expect(permitted >> TILE_DATA & 1, 1);
	return pass();
}
#else
int main(void)
{
	hold();
	return pass();
}
#endif
