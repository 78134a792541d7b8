/* SPDX-License-Identifier: MIT */
/* Lists are switched on that nobody has switched off. */
#include <quire/page.h>

int main(void)
{
	struct quire *q = quire_default();

	quire_pcp_disable(q);
	quire_pcp_enable(q);
	quire_pcp_enable(q);
	return 0;
}
