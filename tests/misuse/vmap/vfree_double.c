/* SPDX-License-Identifier: MIT */
/* An area is freed twice in a row. */
#include <quire/page.h>
#include <quire/vmap.h>

int main(void)
{
	struct quire *q = quire_default();
	char *area = quire_vmalloc(q, 65536, 0);

	quire_vfree(q, area);
	quire_vfree(q, area);
	return 0;
}
