/* A mark of fanotify on a whole file system. */
#include "../program.h"
#include <sys/fanotify.h>

int main(void)
{
	int fd = must(fanotify_init(FAN_CLASS_NOTIF | FAN_NONBLOCK, O_RDONLY));
	must(fanotify_mark(fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN_EXEC, AT_FDCWD, STATE));

	hold();

	must(fanotify_mark(fd, FAN_MARK_REMOVE | FAN_MARK_FILESYSTEM, FAN_OPEN_EXEC, AT_FDCWD, STATE));
	return pass();
}
