/* Host and domain name that the container has changed. */
#include "program.h"
#include <sys/utsname.h>

int main(void)
{
	struct utsname names;
	must(sethostname("changed-host", 12));
	must(setdomainname("changed.domain", 14));

	hold();

	must(uname(&names));
	expect_text(names.nodename, "changed-host");
	expect_text(names.domainname, "changed.domain");
	return pass();
}
