/* Reads and writes that wait: of an empty pipe, into a full one, of a socket, accept, and a record lock. */
#include "program.h"
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { READ, WRITE, RECEIVE, ACCEPT, LOCK, KINDS };

static volatile int started;
static volatile pid_t ids[KINDS];
static int empty[2], full[2], sockets[2], listener, locked, waiting;

static void begin(int kind)
{
	ids[kind] = gettid();
	raise_flag(&started);
}

static void *reader(void *argument)
{
	char text[8] = "";
	begin(READ);
	expect(must(read(empty[0], text, sizeof text)), 4);
	expect_text(text, "pipe");
	return argument;
}

static void *writer(void *argument)
{
	begin(WRITE);
	expect(must(write(full[1], "more", 4)), 4);
	return argument;
}

static void *receiver(void *argument)
{
	char text[8] = "";
	begin(RECEIVE);
	expect(must(recv(sockets[0], text, sizeof text, 0)), 6);
	expect_text(text, "socket");
	return argument;
}

static void *acceptor(void *argument)
{
	char text[8] = "";
	begin(ACCEPT);
	int fd = must(accept(listener, NULL, NULL));
	expect(must(read(fd, text, sizeof text)), 4);
	expect_text(text, "name");
	return argument;
}

static void *locker(void *argument)
{
	begin(LOCK);
	must(flock(waiting, LOCK_EX));
	return argument;
}

int main(void)
{
	void *(*const functions[])(void *) = { reader, writer, receiver, acceptor, locker };
	pthread_t threads[KINDS];
	char buffer[65536];
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/tmp/listener" };
	must(pipe(empty));
	must(pipe(full));
	int capacity = must(fcntl(full[1], F_GETPIPE_SZ));
	for (int written = 0; written < capacity; written += 4096)
		expect(write(full[1], buffer, 4096), 4096);
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	listener = must(socket(AF_UNIX, SOCK_STREAM, 0));
	must(bind(listener, (struct sockaddr *)&address, sizeof address));
	must(listen(listener, 1));
	locked = must(open("/tmp/lock", O_RDWR | O_CREAT, 0600));
	waiting = must(open("/tmp/lock", O_RDWR));
	must(flock(locked, LOCK_EX));
	for (int kind = 0; kind < KINDS; kind++)
		must_zero(pthread_create(&threads[kind], NULL, functions[kind], NULL));
	wait_for_flag(&started, KINDS);
	for (int kind = 0; kind < KINDS; kind++)
		wait_for_state(ids[kind], 'S');

	hold();

	expect(write(empty[1], "pipe", 4), 4);
	expect(write(sockets[1], "socket", 6), 6);
	int client = must(socket(AF_UNIX, SOCK_STREAM, 0));
	must(connect(client, (struct sockaddr *)&address, sizeof address));
	expect(write(client, "name", 4), 4);
	must(flock(locked, LOCK_UN));
	for (int left = capacity + 4; left > 0;)
		left -= must(read(full[0], buffer, left > (int)sizeof buffer ? sizeof buffer : (size_t)left));
	for (int kind = 0; kind < KINDS; kind++)
		must_zero(pthread_join(threads[kind], NULL));
	return pass();
}
