/* SPDX-License-Identifier: MIT */
/* An area is freed, another one of its size, and the first again. */
#include <quire/page.h>
#include <quire/vmap.h>

int main(void)
{
	struct quire *q = quire_default();
	char *area = quire_vmalloc(q, 65536, 0);
	char *other = quire_vmalloc(q, 65536, 0);

	quire_vfree(q, area);
	quire_vfree(q, other);
	quire_vfree(q, area);
	return 0;
}
