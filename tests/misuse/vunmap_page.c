/* SPDX-License-Identifier: MIT */
/* A page is given to quire_vunmap(). */
#include <quire/page.h>
#include <quire/vmap.h>

int main(void)
{
	struct quire *q = quire_default();
	void *page = quire_alloc_pages(q, 0, 0);

	quire_vunmap(q, quire_vmap(q, &page, 1, 0));
	quire_vunmap(q, page);
	return 0;
}
