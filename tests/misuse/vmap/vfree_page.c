/* SPDX-License-Identifier: MIT */
/* A page is freed as an area. */
#include <quire/page.h>
#include <quire/vmap.h>

int main(void)
{
	struct quire *q = quire_default();
	void *page = quire_alloc_pages(q, 0, 0);

	quire_vfree(q, quire_vmalloc(q, 1, 0));
	quire_vfree(q, page);
	return 0;
}
