/* SPDX-License-Identifier: MIT */
/* The page after an area is freed. */
#include <quire/page.h>
#include <quire/vmap.h>

int main(void)
{
	struct quire *q = quire_default();
	char *area = quire_vmalloc(q, 65536, 0);

	quire_vfree(q, area + 65536);
	return 0;
}
