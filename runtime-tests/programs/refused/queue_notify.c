/* A process that wants to be told of the next message in a queue. */
#include "../program.h"
#include <mqueue.h>

int main(void)
{
	struct mq_attr attributes = { .mq_maxmsg = 2, .mq_msgsize = 10 };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	sigset_t set;
	siginfo_t info;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	must_zero(pthread_sigmask(SIG_BLOCK, &set, NULL));
	mqd_t queue = must(mq_open("/queue", O_RDWR | O_CREAT | O_EXCL, 0600, &attributes));
	event.sigev_value.sival_int = 17;
	must(mq_notify(queue, &event));

	hold();

	must(mq_send(queue, "news", 4, 0));
	expect(must(sigwaitinfo(&set, &info)), SIGUSR1);
	expect(info.si_value.sival_int, 17);
	return pass();
}
