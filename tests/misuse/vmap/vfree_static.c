/* SPDX-License-Identifier: MIT */
/* Something that was never allocated is freed as an area. */
#include <quire/page.h>
#include <quire/vmap.h>

int main(void)
{
	struct quire *q = quire_default();
	static char object[8192];

	quire_vfree(q, quire_vmalloc(q, 1, 0));
	quire_vfree(q, object);
	return 0;
}
