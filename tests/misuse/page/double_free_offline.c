/* SPDX-License-Identifier: MIT */
/* The whole block of the page was taken away. */
#include <quire/page.h>

int main(void)
{
	struct quire *q = quire_default();
	void *block = quire_alloc_pages(q, 9, 0);

	quire_free_pages(q, block, 9);
	quire_offline_pageblock(q, block);
	quire_free_pages(q, block, 9);
	return 0;
}
