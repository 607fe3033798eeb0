/* fanotify of who has no capabilities: names in a directory, by file handles. */
#include "program.h"
#include <sys/fanotify.h>

int main(void)
{
	char events[4096] __attribute__((aligned(8)));
	must(mkdir("/data/marked", 0755));
	int fd = must(fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK | FAN_REPORT_DFID_NAME, 0));
	must(fanotify_mark(fd, FAN_MARK_ADD, FAN_CREATE | FAN_ONDIR, AT_FDCWD, "/data/marked"));
	expect_error(fanotify_mark(fd, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN, AT_FDCWD, "/data"), EPERM);

	hold();

	expect_error(read(fd, events, sizeof events), EAGAIN);
	must(mkdir("/data/marked/new", 0755));
	struct fanotify_event_metadata *event = (void *)events;
	expect_between(must(read(fd, events, sizeof events)), sizeof *event, sizeof events);
	expect(event->mask, FAN_CREATE | FAN_ONDIR);
	expect(event->fd, FAN_NOFD);
	struct fanotify_event_info_fid *id = (void *)(event + 1);
	expect(id->hdr.info_type, FAN_EVENT_INFO_TYPE_DFID_NAME);
	struct file_handle *handle = (void *)id->handle;
	expect_text((char *)handle->f_handle + handle->handle_bytes, "new");
	return pass();
}
