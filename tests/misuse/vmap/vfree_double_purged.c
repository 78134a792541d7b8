/* SPDX-License-Identifier: MIT */
/* An area is freed again after its addresses went back. */
#include <quire/page.h>
#include <quire/vmap.h>

int main(void)
{
	struct quire *q = quire_default();
	char *area = quire_vmalloc(q, 65536, 0);

	quire_vfree(q, area);
	quire_vmap_purge(q);
	quire_vfree(q, area);
	return 0;
}
