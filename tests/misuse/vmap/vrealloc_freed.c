/* SPDX-License-Identifier: MIT */
/* A freed area is resized. */
#include <quire/page.h>
#include <quire/vmap.h>

int main(void)
{
	struct quire *q = quire_default();
	char *area = quire_vmalloc(q, 65536, 0);

	quire_vfree(q, area);
	return quire_vrealloc(q, area, 131072, 0) != NULL;
	return 0;
}
