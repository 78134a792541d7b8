/* SPDX-License-Identifier: MIT */
/* A block is freed with an order that there is not. */
#include <quire/page.h>

int main(void)
{
	struct quire *q = quire_default();
	void *block = quire_alloc_pages(q, 3, 0);

	quire_free_pages(q, block, QUIRE_ORDER_MAX + 1);
	return 0;
}
