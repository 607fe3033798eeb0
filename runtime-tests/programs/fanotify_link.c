/* fanotify: a mark of a symbolic link itself. */
#include "program.h"
#include <sys/fanotify.h>

int main(void)
{
	char events[4096] __attribute__((aligned(8)));
	write_file("/data/target", "");
	must(symlink("/data/target", "/data/link"));
	int fd = must(fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_REPORT_FID, 0));
	must(fanotify_mark(fd, FAN_MARK_ADD | FAN_MARK_DONT_FOLLOW, FAN_ATTRIB, AT_FDCWD, "/data/link"));

	hold();

	must(chmod("/data/target", 0600));
	expect_error(read(fd, events, sizeof events), EAGAIN);
	must(lchown("/data/link", getuid(), getgid()));
	struct fanotify_event_metadata *event = (void *)events;
	expect_between(must(read(fd, events, sizeof events)), sizeof *event, sizeof events);
	expect(event->mask, FAN_ATTRIB);
	return pass();
}
