/* A POSIX message queue with messages of two priorities. */
#include "program.h"
#include <mqueue.h>

int main(void)
{
	struct mq_attr attributes = { .mq_maxmsg = 7, .mq_msgsize = 100 }, found;
	char text[100];
	unsigned priority;
	mqd_t queue = must(mq_open("/queue", O_RDWR | O_CREAT | O_NONBLOCK, 0600, &attributes));
	must(mq_send(queue, "low", 3, 1));
	must(mq_send(queue, "high", 4, 9));

	hold();

	must(mq_getattr(queue, &found));
	expect(found.mq_maxmsg, 7);
	expect(found.mq_msgsize, 100);
	expect(found.mq_curmsgs, 2);
	expect(must(mq_receive(queue, text, sizeof text, &priority)), 4);
	expect(priority, 9);
	expect(must(mq_receive(queue, text, sizeof text, &priority)), 3);
	expect(priority, 1);
	mqd_t again = must(mq_open("/queue", O_WRONLY));
	must(mq_send(again, "more", 4, 0));
	expect(must(mq_receive(queue, text, sizeof text, NULL)), 4);
	return pass();
}
