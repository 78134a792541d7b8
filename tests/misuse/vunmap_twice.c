/* SPDX-License-Identifier: MIT */
/* A mapping is ended twice. */
#include <quire/page.h>
#include <quire/vmap.h>

int main(void)
{
	struct quire *q = quire_default();
	void *page = quire_alloc_pages(q, 0, 0);
	void *addr = quire_vmap(q, &page, 1, 0);

	quire_vunmap(q, addr);
	quire_vunmap(q, addr);
	return 0;
}
