/* Named pipes with content, opened for reading, writing and both. */
#include "program.h"

int main(void)
{
	char text[32] = "";
	must(mkfifo("/data/fifo", 0600));
	int reader = must(open("/data/fifo", O_RDONLY | O_NONBLOCK));
	int writer = must(open("/data/fifo", O_WRONLY));
	expect(write(writer, "in the fifo", 11), 11);
	must(mkfifo("/data/both", 0600));
	int both = must(open("/data/both", O_RDWR));
	must(fcntl(both, F_SETPIPE_SZ, 1 << 17));
	expect(write(both, "both", 4), 4);

	hold();

	expect(read(reader, text, sizeof text), 11);
	expect_text(text, "in the fifo");
	expect_error(read(reader, text, sizeof text), EAGAIN);
	expect(fcntl(both, F_GETPIPE_SZ), 1 << 17);
	expect(fcntl(both, F_GETFL) & O_ACCMODE, O_RDWR);
	expect(read(both, text, sizeof text), 4);
	/* It is the one with the name: who opens it now, talks to us. */
	int another = must(open("/data/fifo", O_WRONLY | O_NONBLOCK));
	expect(write(another, "news", 4), 4);
	expect(read(reader, text, sizeof text), 4);
	expect_bytes(text, "news", 4);
	close(another);
	close(writer);
	expect(read(reader, text, sizeof text), 0);
	return pass();
}
