/* Small seccomp filters. */
#ifndef SECCOMP_H
#define SECCOMP_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "program.h"

/* From now on `number` fails with `error` in the calling thread. */
static inline void refuse(int number, int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { COUNT(code), code };
	must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
}

/* Filters that the calling thread has. */
static inline int filters(void)
{
	char text[32];
	return atoi(field_of("/proc/thread-self/status", "Seccomp_filters", text, sizeof text));
}

#endif
