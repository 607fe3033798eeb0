/*
 * What the programs to checkpoint have in common.
 *
 * A program sets up one kind of state, calls hold(), and then looks whether the state is still what it was. Between
 * the two it may be dumped, killed and restored any number of times, or nothing may happen at all: it must not be able
 * to tell. The harness (tests/programs.rs) gives it a directory /state, waits for /state/ready, does its work, sends
 * SIGTERM to the first process and reads /state/result: `pass` or `fail: PLACE: what was expected and found`.
 *
 * SIGTERM is blocked from the start in every thread and taken by sigwaitinfo, so that holding disturbs neither
 * handlers nor masks nor queues. Any process of a program may fail; the first failure is the result.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STATE "/state"
#define SECOND 1000000000LL
#define MILLISECOND 1000000LL
/* What a busy machine, or an emulated one, may add to any interval. */
#define SLACK (60 * SECOND)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The first result stays. */
static inline void write_result(const char *text)
{
	char own[64];
	snprintf(own, sizeof own, STATE "/result.%d", (int)syscall(SYS_gettid));
	int fd = open(own, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		_exit(3);
	size_t length = strlen(text);
	if (write(fd, text, length) != (ssize_t)length)
		_exit(3);
	close(fd);
	if (link(own, STATE "/result") < 0 && errno != EEXIST)
		_exit(3);
	unlink(own);
}

__attribute__((format(printf, 3, 4), noreturn)) static inline void fail_at(const char *file, int line,
									    const char *format, ...)
{
	char what[1024], text[1200];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(what, sizeof what, format, arguments);
	va_end(arguments);
	snprintf(text, sizeof text, "fail: %s:%d: %s", file, line, what);
	write_result(text);
	_exit(1);
}
#define fail(...) fail_at(__FILE_NAME__, __LINE__, __VA_ARGS__)

/* The result of a call that cannot fail unless something is wrong. */
static inline long must_at(const char *file, int line, const char *what, long result)
{
	if (result == -1)
		fail_at(file, line, "%s: %s", what, strerror(errno));
	return result;
}
#define must(call) must_at(__FILE_NAME__, __LINE__, #call, (long)(call))

static inline void *must_map_at(const char *file, int line, const char *what, void *result)
{
	if (result == MAP_FAILED || result == NULL)
		fail_at(file, line, "%s: %s", what, strerror(errno));
	return result;
}
#define must_map(call) must_map_at(__FILE_NAME__, __LINE__, #call, (call))

/* pthread functions return their error. */
#define must_zero(call)                                                                                               \
	do {                                                                                                          \
		int error_ = (call);                                                                                  \
		if (error_ != 0)                                                                                      \
			fail("%s: %s", #call, strerror(error_));                                                      \
	} while (0)

/* Numbers; the expression is evaluated once and named in the failure. */
#define expect(expression, expected)                                                                                  \
	do {                                                                                                          \
		long long found_ = (long long)(expression), expected_ = (long long)(expected);                        \
		if (found_ != expected_)                                                                              \
			fail("%s: expected %lld (%#llx), found %lld (%#llx)", #expression, expected_, expected_,      \
			     found_, found_);                                                                         \
	} while (0)

#define expect_between(expression, low, high)                                                                         \
	do {                                                                                                          \
		long long found_ = (long long)(expression), low_ = (long long)(low), high_ = (long long)(high);       \
		if (found_ < low_ || found_ > high_)                                                                  \
			fail("%s: expected %lld to %lld, found %lld", #expression, low_, high_, found_);              \
	} while (0)

#define expect_text(expression, expected)                                                                             \
	do {                                                                                                          \
		const char *found_ = (expression), *expected_ = (expected);                                           \
		if (strcmp(found_, expected_) != 0)                                                                   \
			fail("%s: expected `%s`, found `%s`", #expression, expected_, found_);                        \
	} while (0)

#define expect_bytes(expression, expected, size)                                                                      \
	do {                                                                                                          \
		const unsigned char *found_ = (const void *)(expression), *expected_ = (const void *)(expected);      \
		for (size_t at_ = 0; at_ < (size_t)(size); at_++)                                                     \
			if (found_[at_] != expected_[at_])                                                            \
				fail("%s: byte %zu: expected %#x, found %#x", #expression, at_, expected_[at_],       \
				     found_[at_]);                                                                    \
	} while (0)

/* A call that has to fail with this errno. */
#define expect_error(call, expected)                                                                                  \
	do {                                                                                                          \
		errno = 0;                                                                                            \
		long result_ = (long)(call);                                                                          \
		if (result_ != -1 || errno != (expected))                                                             \
			fail("%s: expected %s, found %ld (%s)", #call, strerror(expected), result_, strerror(errno)); \
	} while (0)

static inline long long now(clockid_t clock)
{
	struct timespec time;
	must(clock_gettime(clock, &time));
	return time.tv_sec * SECOND + time.tv_nsec;
}

static inline struct timespec to_timespec(long long ns)
{
	return (struct timespec){ .tv_sec = ns / SECOND, .tv_nsec = ns % SECOND };
}

static inline void pause_ms(int ms)
{
	struct timespec time = to_timespec(ms * MILLISECOND);
	while (nanosleep(&time, &time) < 0 && errno == EINTR)
		;
}

/* The whole of a small file, as text. */
static inline char *read_file(const char *path, char *buffer, size_t size)
{
	int fd = must(open(path, O_RDONLY | O_CLOEXEC));
	size_t length = 0;
	ssize_t count;
	while ((count = must(read(fd, buffer + length, size - 1 - length))) > 0)
		length += count;
	if (length == size - 1)
		fail("%s: longer than %zu bytes", path, size);
	close(fd);
	buffer[length] = '\0';
	return buffer;
}

static inline void write_file(const char *path, const char *text)
{
	int fd = must(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
	expect(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* The value of `key` in /proc/self/status or a file like it, without white space around it. */
static inline char *field_of(const char *path, const char *key, char *value, size_t size)
{
	static _Thread_local char text[65536];
	read_file(path, text, sizeof text);
	size_t length = strlen(key);
	for (char *line = text; line != NULL; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
		if (strncmp(line, key, length) != 0 || line[length] != ':')
			continue;
		char *start = line + length + 1;
		start += strspn(start, " \t");
		size_t end = strcspn(start, "\n");
		while (end > 0 && (start[end - 1] == ' ' || start[end - 1] == '\t'))
			end--;
		if (end >= size)
			fail("%s: %s is longer than %zu bytes", path, key, size);
		memcpy(value, start, end);
		value[end] = '\0';
		return value;
	}
	fail("%s: no %s", path, key);
}

/* Waits until a task sleeps in a system call (S), is stopped (T) or is a zombie (Z). */
static inline void wait_for_state(pid_t tid, char state)
{
	char path[64], text[1024];
	for (int tries = 0; tries < 5000; tries++) {
		snprintf(path, sizeof path, "/proc/%d/stat", (int)tid);
		read_file(path, text, sizeof text);
		if (strrchr(text, ')')[2] == state)
			return;
		pause_ms(1);
	}
	fail("task %d: expected state %c, found %s", (int)tid, state, text);
}

/* Waits for a child of which nothing but exit(0) is expected. */
static inline void expect_success(pid_t child)
{
	int status;
	expect(must(waitpid(child, &status, 0)), child);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail("child %d: expected exit 0, found status %#x", (int)child, status);
}

/* Zeroed memory that forked processes share. */
static inline void *share(size_t size)
{
	return must_map(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

/* Waits until another task has made *flag at least `value`. */
static inline void wait_for_flag(volatile int *flag, int value)
{
	for (int tries = 0; __atomic_load_n(flag, __ATOMIC_ACQUIRE) < value; tries++) {
		if (tries > 20000)
			fail("flag: expected %d, found %d", value, *flag);
		pause_ms(1);
	}
}

static inline void raise_flag(volatile int *flag)
{
	__atomic_add_fetch(flag, 1, __ATOMIC_RELEASE);
}

/* A fixed sequence of pseudorandom bytes per seed: memory that is not all alike. */
static inline void fill(void *memory, size_t size, uint64_t seed)
{
	uint64_t value = seed * 0x9e3779b97f4a7c15ULL + 1;
	unsigned char *bytes = memory;
	for (size_t at = 0; at < size; at++) {
		value ^= value << 13;
		value ^= value >> 7;
		value ^= value << 17;
		bytes[at] = (unsigned char)value;
	}
}

static inline void expect_filled_at(const char *file, int line, const char *what, const void *memory, size_t size,
				    uint64_t seed)
{
	uint64_t value = seed * 0x9e3779b97f4a7c15ULL + 1;
	const unsigned char *bytes = memory;
	for (size_t at = 0; at < size; at++) {
		value ^= value << 13;
		value ^= value >> 7;
		value ^= value << 17;
		if (bytes[at] != (unsigned char)value)
			fail_at(file, line, "%s: byte %zu: expected %#x, found %#x", what, at, (unsigned char)value,
				bytes[at]);
	}
}
#define expect_filled(memory, size, seed) expect_filled_at(__FILE_NAME__, __LINE__, #memory, memory, size, seed)

static inline bool is_zero(const void *memory, size_t size)
{
	const unsigned char *bytes = memory;
	for (size_t at = 0; at < size; at++)
		if (bytes[at] != 0)
			return false;
	return true;
}

__attribute__((constructor)) static void block_sigterm(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	must_zero(pthread_sigmask(SIG_BLOCK, &set, NULL));
}

static inline void announce(void)
{
	close(must(open(STATE "/ready", O_WRONLY | O_CREAT | O_CLOEXEC, 0666)));
}

/* Returns when this process has been sent SIGTERM. */
static inline void wait_for_sigterm(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	/* The kernel interrupts sigwaitinfo for the freezer and for ptrace; that is nobody's mistake. */
	while (sigwaitinfo(&set, NULL) != SIGTERM)
		if (errno != EINTR)
			fail("sigwaitinfo: %s", strerror(errno));
}

/* Says that everything is set up, and returns when the harness has done what it wants. */
static inline void hold(void)
{
	announce();
	wait_for_sigterm();
}

static inline int pass(void)
{
	write_result("pass");
	return 0;
}

#endif
