/* Who is told about input, and by which signal: F_SETOWN of a process, a group and a thread, F_SETSIG, O_ASYNC. */
#include "program.h"
#include <sys/socket.h>

int main(void)
{
	sigset_t set;
	siginfo_t info;
	int process[2], group[2], thread[2];
	struct f_owner_ex owner = { F_OWNER_TID, gettid() }, found;
	sigfillset(&set);
	must(sigprocmask(SIG_BLOCK, &set, NULL));
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, process));
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, group));
	must(pipe(thread));
	must(fcntl(process[0], F_SETOWN, getpid()));
	must(fcntl(process[0], F_SETSIG, SIGRTMIN + 1));
	must(fcntl(process[0], F_SETFL, O_ASYNC | O_NONBLOCK));
	must(fcntl(group[0], F_SETOWN, -getpgrp()));
	must(fcntl(thread[0], F_SETOWN_EX, &owner));
	must(fcntl(thread[0], F_SETSIG, SIGRTMIN + 2));
	must(fcntl(thread[0], F_SETFL, O_ASYNC));

	hold();

	expect(fcntl(process[0], F_GETOWN), getpid());
	expect(fcntl(process[0], F_GETSIG), SIGRTMIN + 1);
	expect(fcntl(group[0], F_GETOWN) == -getpgrp(), true);
	expect(fcntl(group[0], F_GETSIG), 0);
	must(fcntl(thread[0], F_GETOWN_EX, &found));
	expect(found.type, F_OWNER_TID);
	expect(found.pid, gettid());
	expect(fcntl(thread[0], F_GETSIG), SIGRTMIN + 2);
	struct timespec limit = to_timespec(SLACK);
	expect(write(process[1], "x", 1), 1);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	expect(must(sigtimedwait(&set, &info, &limit)), SIGRTMIN + 1);
	expect(info.si_fd, process[0]);
	expect(write(thread[1], "x", 1), 1);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 2);
	expect(must(sigtimedwait(&set, &info, &limit)), SIGRTMIN + 2);
	expect(info.si_fd, thread[0]);
	return pass();
}
