/* SPDX-License-Identifier: MIT */
/* An address is freed as an area before there are areas. */
#include <quire/page.h>
#include <quire/vmap.h>

int main(void)
{
	struct quire *q = quire_default();
	static char object[8192];

	quire_vfree(q, object);
	return 0;
}
