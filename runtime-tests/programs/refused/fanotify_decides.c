/* fanotify that others wait for: what dumps the container would, too. */
#include "../program.h"
#include <sys/fanotify.h>

int main(void)
{
	struct fanotify_event_metadata event;
	write_file("/data/file", "");
	int fd = must(fanotify_init(FAN_CLASS_CONTENT | FAN_NONBLOCK, O_RDONLY));
	must(fanotify_mark(fd, FAN_MARK_ADD, FAN_OPEN_PERM, AT_FDCWD, "/data/file"));

	hold();

	expect_error(read(fd, &event, sizeof event), EAGAIN);
	return pass();
}
