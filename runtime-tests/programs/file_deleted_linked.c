/* A file whose name is gone, but which has another: still the same file, and no name too many. */
#include "program.h"
#include <dirent.h>

int main(void)
{
	struct stat opened, named;
	int fd = must(open("/data/one", O_RDWR | O_CREAT, 0600));
	expect(write(fd, "0123", 4), 4);
	must(link("/data/one", "/data/two"));
	must(unlink("/data/one"));

	hold();

	must(fstat(fd, &opened));
	must(stat("/data/two", &named));
	expect(opened.st_ino, named.st_ino);
	expect(opened.st_nlink, 1);
	expect(write(fd, "45", 2), 2);
	char text[16];
	expect_text(read_file("/data/two", text, sizeof text), "012345");
	DIR *directory = opendir("/data");
	must_map(directory);
	for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
		if (entry->d_name[0] != '.' && strcmp(entry->d_name, "two") != 0)
			fail("%s was left in the directory", entry->d_name);
	closedir(directory);
	return pass();
}
