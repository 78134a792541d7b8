/* SPDX-License-Identifier: MIT */
/* A page is freed twice in a row. */
#include <quire/page.h>

int main(void)
{
	struct quire *q = quire_default();
	void *page = quire_alloc_pages(q, 0, 0);

	quire_free_pages(q, page, 0);
	quire_free_pages(q, page, 0);
	return 0;
}
