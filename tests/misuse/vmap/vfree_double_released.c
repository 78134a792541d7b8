/* SPDX-License-Identifier: MIT */
/* An area is freed again after quire_release(). */
#include <quire/page.h>
#include <quire/vmap.h>

int main(void)
{
	struct quire *q = quire_default();
	char *area = quire_vmalloc(q, 65536, 0);

	quire_vfree(q, area);
	quire_release(q);
	quire_vfree(q, area);
	return 0;
}
