/* Supplementary groups of the superuser. */
#include "program.h"
#include <grp.h>

int main(void)
{
	const gid_t groups[] = { 0, 7, 300, 65534, 4000000000 };
	gid_t found[64];
	must(setgroups(COUNT(groups), groups));

	hold();

	expect(must(getgroups(COUNT(found), found)), COUNT(groups));
	for (size_t at = 0; at < COUNT(groups); at++)
		expect(found[at], groups[at]);
	return pass();
}
