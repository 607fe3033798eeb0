/* fanotify: marks of a file, a directory and a mount, what they ignore, and nothing told that did not happen. */
#include "program.h"
#include <sys/fanotify.h>

/* The next event, of which there has to be one; closes its file. */
static uint64_t next(int fd, const char *path)
{
	struct fanotify_event_metadata event;
	char link[64], found[256] = "";
	expect(must(read(fd, &event, sizeof event)), sizeof event);
	expect(event.pid, getpid());
	snprintf(link, sizeof link, "/proc/self/fd/%d", event.fd);
	must(readlink(link, found, sizeof found - 1));
	expect_text(found, path);
	expect(fcntl(event.fd, F_GETFL) & O_ACCMODE, O_RDWR);
	close(event.fd);
	return event.mask;
}

static void expect_nothing(int fd)
{
	struct fanotify_event_metadata event;
	expect_error(read(fd, &event, sizeof event), EAGAIN);
}

static void look_at(const char *path)
{
	close(must(open(path, O_RDONLY)));
}

int main(void)
{
	must(mkdir("/data/marked", 0755));
	write_file("/data/marked/within", "");
	write_file("/data/file", "");
	write_file("/data/ignored", "");
	write_file("/data/other", "");

	int fd = must(fanotify_init(FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_QUEUE, O_RDWR | O_LARGEFILE));
	must(fanotify_mark(fd, FAN_MARK_ADD, FAN_MODIFY | FAN_OPEN, AT_FDCWD, "/data/file"));
	must(fanotify_mark(fd, FAN_MARK_ADD, FAN_OPEN | FAN_EVENT_ON_CHILD, AT_FDCWD, "/data/marked"));
	int mount = must(fanotify_init(FAN_NONBLOCK, O_RDWR));
	must(fanotify_mark(mount, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_CLOSE_WRITE, AT_FDCWD, STATE));
	must(fanotify_mark(mount, FAN_MARK_ADD, FAN_OPEN | FAN_MODIFY, AT_FDCWD, "/data/ignored"));
	must(fanotify_mark(mount, FAN_MARK_ADD | FAN_MARK_IGNORED_MASK | FAN_MARK_IGNORED_SURV_MODIFY, FAN_OPEN, AT_FDCWD,
			   "/data/ignored"));

	hold();

	/* Those of announce(), where they were not lost. */
	struct fanotify_event_metadata event;
	while (read(mount, &event, sizeof event) > 0)
		close(event.fd);
	expect(fcntl(fd, F_GETFD), FD_CLOEXEC);
	expect(fcntl(mount, F_GETFD), 0);
	expect_nothing(fd);

	int writer = must(open("/data/file", O_WRONLY));
	expect(next(fd, "/data/file"), FAN_OPEN);
	expect(write(writer, "x", 1), 1);
	expect(next(fd, "/data/file"), FAN_MODIFY);
	look_at("/data/marked/within");
	expect(next(fd, "/data/marked/within"), FAN_OPEN);
	look_at("/data/other");
	expect_nothing(fd);

	write_file(STATE "/written", "words");
	expect(next(mount, STATE "/written"), FAN_CLOSE_WRITE);
	look_at("/data/ignored");
	expect_nothing(mount);
	writer = must(open("/data/ignored", O_WRONLY));
	expect(write(writer, "x", 1), 1);
	expect(next(mount, "/data/ignored"), FAN_MODIFY);
	look_at("/data/ignored");
	expect_nothing(mount);
	return pass();
}
