/* SPDX-License-Identifier: MIT */
/* One page is in two slots of a bulk free. */
#include <quire/page.h>

int main(void)
{
	struct quire *q = quire_default();
	void *page = quire_alloc_pages(q, 0, 0);
	void *pages[2] = { page, page };

	quire_free_pages_bulk(q, pages, 2);
	return 0;
}
