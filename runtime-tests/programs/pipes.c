/* Pipes: content, capacity, an end that is closed, ends in another process, flags. */
#include "program.h"

int main(void)
{
	int plain[2], without_writer[2], without_reader[2], large[2], to_child[2], to_parent[2];
	unsigned char content[200000], found[200000];
	char text[64] = "";
	must(pipe2(plain, O_CLOEXEC));
	expect(write(plain[1], "content of a pipe", 17), 17);
	must(pipe(without_writer));
	expect(write(without_writer[1], "last words", 10), 10);
	close(without_writer[1]);
	must(pipe(without_reader));
	close(without_reader[0]);
	must(pipe2(large, O_NONBLOCK));
	must(fcntl(large[1], F_SETPIPE_SZ, 1 << 18));
	fill(content, sizeof content, 1);
	/* In pieces that leave pages partly filled. */
	for (size_t at = 0; at < sizeof content; at += 5000)
		expect(write(large[1], content + at, 5000), 5000);
	must(pipe(to_child));
	must(pipe(to_parent));
	pid_t child = must(fork());
	if (child == 0) {
		close(to_child[1]);
		close(to_parent[0]);
		expect(read(to_child[0], text, sizeof text), 6);
		expect_text(text, "order!");
		expect(write(to_parent[1], "answer", 6), 6);
		expect(read(to_child[0], text, sizeof text), 0);
		_exit(0);
	}
	close(to_child[0]);
	close(to_parent[1]);
	wait_for_state(child, 'S');

	hold();

	expect(fcntl(plain[0], F_GETFD), FD_CLOEXEC);
	expect(fcntl(large[0], F_GETFL), O_RDONLY | O_NONBLOCK);
	expect(fcntl(large[1], F_GETFL), O_WRONLY | O_NONBLOCK);
	expect(read(plain[0], text, sizeof text), 17);
	expect_bytes(text, "content of a pipe", 17);
	expect(read(without_writer[0], text, sizeof text), 10);
	expect(read(without_writer[0], text, sizeof text), 0);
	signal(SIGPIPE, SIG_IGN);
	expect_error(write(without_reader[1], "x", 1), EPIPE);
	expect(fcntl(large[0], F_GETPIPE_SZ), 1 << 18);
	size_t size = 0;
	for (ssize_t count; (count = read(large[0], found + size, sizeof found - size)) > 0;)
		size += count;
	expect(size, sizeof content);
	expect_bytes(found, content, sizeof content);
	expect(write(to_child[1], "order!", 6), 6);
	expect(read(to_parent[0], text, sizeof text), 6);
	expect_bytes(text, "answer", 6);
	close(to_child[1]);
	expect_success(child);
	expect(read(to_parent[0], text, sizeof text), 0);
	return pass();
}
