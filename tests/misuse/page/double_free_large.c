/* SPDX-License-Identifier: MIT */
/* A block of the largest order is freed twice. */
#include <quire/page.h>

int main(void)
{
	struct quire *q = quire_default();
	void *block = quire_alloc_pages(q, QUIRE_ORDER_MAX, 0);

	quire_free_pages(q, block, QUIRE_ORDER_MAX);
	quire_free_pages(q, block, QUIRE_ORDER_MAX);
	return 0;
}
