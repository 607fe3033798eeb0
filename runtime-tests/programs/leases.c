/* Leases of files, one for reading and one for writing: still held, and somebody who opens a file is waited for. */
#include "program.h"

int main(void)
{
	write_file("/data/read", "read");
	write_file("/data/write", "write");
	int reader = must(open("/data/read", O_RDONLY)), writer = must(open("/data/write", O_RDWR));
	must(fcntl(reader, F_SETLEASE, F_RDLCK));
	must(fcntl(writer, F_SETLEASE, F_WRLCK));
	must(fcntl(reader, F_SETSIG, SIGRTMIN + 2));
	must(fcntl(writer, F_SETSIG, SIGRTMIN + 3));
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGRTMIN + 2);
	sigaddset(&signals, SIGRTMIN + 3);
	must(sigprocmask(SIG_BLOCK, &signals, NULL));

	hold();

	expect(fcntl(reader, F_GETLEASE), F_RDLCK);
	expect(fcntl(writer, F_GETLEASE), F_WRLCK);
	static const char *files[] = {"/data/read", "/data/write"};
	for (int at = 0; at < 2; at++) {
		/* Its holder is told, and would have time to give it up. */
		expect_error(open(files[at], O_WRONLY | O_NONBLOCK), EAGAIN);
		siginfo_t info;
		expect(must(sigwaitinfo(&signals, &info)), SIGRTMIN + 2 + at);
		expect(info.si_fd, at == 0 ? reader : writer);
		must(fcntl(at == 0 ? reader : writer, F_SETLEASE, F_UNLCK));
		must(open(files[at], O_WRONLY | O_NONBLOCK));
	}
	return pass();
}
