/* SPDX-License-Identifier: MIT */
/* An area is unmapped as if it were a mapping. */
#include <quire/page.h>
#include <quire/vmap.h>

int main(void)
{
	struct quire *q = quire_default();
	char *area = quire_vmalloc(q, 65536, 0);

	quire_vunmap(q, area);
	return 0;
}
