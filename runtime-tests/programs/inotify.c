/* inotify: watches of a file and a directory, with gaps between their numbers, and nothing told that did not happen. */
#include "program.h"
#include <sys/inotify.h>

static int next(int fd, struct inotify_event **event)
{
	static char buffer[4096] __attribute__((aligned(8)));
	ssize_t size = read(fd, buffer, sizeof buffer);
	*event = (struct inotify_event *)buffer;
	return size < 0 ? 0 : (int)size;
}

int main(void)
{
	struct inotify_event *event;
	must(mkdir("/data/watched", 0755));
	write_file("/data/file", "");
	write_file("/data/other", "");
	int fd = must(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
	int gone = must(inotify_add_watch(fd, "/data/other", IN_ALL_EVENTS));
	int directory = must(inotify_add_watch(fd, "/data/watched", IN_CREATE | IN_DELETE | IN_ONLYDIR));
	int gone_too = must(inotify_add_watch(fd, "/data", IN_DELETE_SELF));
	int file = must(inotify_add_watch(fd, "/data/file", IN_MODIFY));
	must(inotify_rm_watch(fd, gone));
	must(inotify_rm_watch(fd, gone_too));
	/* IN_IGNORED of both. */
	while (next(fd, &event) > 0)
		;

	hold();

	expect(fcntl(fd, F_GETFD), FD_CLOEXEC);
	expect(next(fd, &event), 0);
	write_file("/data/watched/new", "");
	expect_between(next(fd, &event), sizeof *event, 4096);
	expect(event->wd, directory);
	expect(event->mask, IN_CREATE);
	expect_text(event->name, "new");
	int writer = must(open("/data/file", O_WRONLY));
	expect(write(writer, "x", 1), 1);
	expect(next(fd, &event), sizeof *event);
	expect(event->wd, file);
	expect(event->mask, IN_MODIFY);
	must(inotify_rm_watch(fd, file));
	expect_error(inotify_rm_watch(fd, gone), EINVAL);
	return pass();
}
