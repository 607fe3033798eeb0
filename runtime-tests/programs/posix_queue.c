/* POSIX message queues: with messages of several priorities, full, empty, open for one direction, open to nobody, and removed
 * while another got the name. */
#include "program.h"
#include <mqueue.h>

static mqd_t make(const char *name, int flags, int mode, int messages, int size)
{
	struct mq_attr attributes = { .mq_maxmsg = messages, .mq_msgsize = size };
	return must(mq_open(name, flags | O_CREAT | O_EXCL, mode, &attributes));
}

static void expect_attributes(mqd_t queue, int messages, int size, int count)
{
	struct mq_attr found;
	must(mq_getattr(queue, &found));
	expect(found.mq_maxmsg, messages);
	expect(found.mq_msgsize, size);
	expect(found.mq_curmsgs, count);
}

static void expect_message(mqd_t queue, const char *expected, unsigned priority)
{
	char text[8192] = "";
	unsigned found;
	expect(must(mq_receive(queue, text, sizeof text, &found)), strlen(expected));
	expect_text(text, expected);
	expect(found, priority);
}

#define expect_sent(queue, text, priority) must(mq_send(queue, text, strlen(text), priority))

int main(void)
{
	struct stat status;
	umask(0);
	mqd_t queue = make("/queue", O_RDWR | O_NONBLOCK, 0640, 7, 100);
	expect_sent(queue, "low", 1);
	expect_sent(queue, "high", 32767);
	expect_sent(queue, "low, too", 1);
	expect_sent(queue, "", 0);
	mqd_t reader = must(mq_open("/queue", O_RDONLY | O_NONBLOCK)), writer = must(mq_open("/queue", O_WRONLY));
	must(fcntl(writer, F_SETFD, 0));
	mqd_t full = make("/full", O_RDWR, 0600, 3, 8192);
	for (int nth = 0; nth < 3; nth++)
		expect_sent(full, "full", 5);
	must(mq_close(full));
	mqd_t removed = make("/again", O_RDWR | O_NONBLOCK, 0600, 2, 10);
	expect_sent(removed, "removed", 2);
	must(mq_unlink("/again"));
	mqd_t empty = make("/again", O_RDWR | O_NONBLOCK | O_CLOEXEC, 0666, 4, 20);

	hold();

	char text[8192];
	expect_attributes(queue, 7, 100, 4);
	must(fstat(queue, &status));
	expect(status.st_mode, S_IFREG | 0640);
	expect_error(mq_send(reader, "no", 2, 0), EBADF);
	expect_error(mq_receive(writer, text, sizeof text, NULL), EBADF);
	expect(fcntl(writer, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_WRONLY);
	expect(fcntl(writer, F_GETFD), 0);
	expect(fcntl(empty, F_GETFD), FD_CLOEXEC);
	expect_sent(writer, "last", 0);
	expect_message(reader, "high", 32767);
	expect_message(queue, "low", 1);
	expect_message(reader, "low, too", 1);
	expect_message(queue, "", 0);
	expect_message(queue, "last", 0);
	expect_error(mq_receive(reader, text, sizeof text, NULL), EAGAIN);

	full = must(mq_open("/full", O_RDWR | O_NONBLOCK));
	expect_attributes(full, 3, 8192, 3);
	expect_error(mq_send(full, "more", 4, 0), EAGAIN);
	for (int nth = 0; nth < 3; nth++)
		expect_message(full, "full", 5);

	expect_attributes(removed, 2, 10, 1);
	expect_message(removed, "removed", 2);
	mqd_t again = must(mq_open("/again", O_WRONLY));
	expect_sent(again, "again", 3);
	expect_attributes(empty, 4, 20, 1);
	expect_message(empty, "again", 3);
	must(mq_unlink("/queue"));
	must(mq_unlink("/full"));
	must(mq_unlink("/again"));
	expect_error(mq_unlink("/again"), ENOENT);
	return pass();
}
