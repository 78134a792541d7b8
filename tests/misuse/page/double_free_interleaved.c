/* SPDX-License-Identifier: MIT */
/* Another page is freed between the two frees of one. */
#include <quire/page.h>

int main(void)
{
	struct quire *q = quire_default();
	void *page = quire_alloc_pages(q, 0, 0);
	void *other = quire_alloc_pages(q, 0, 0);

	quire_free_pages(q, page, 0);
	quire_free_pages(q, other, 0);
	quire_free_pages(q, page, 0);
	return 0;
}
