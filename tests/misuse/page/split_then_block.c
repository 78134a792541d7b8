/* SPDX-License-Identifier: MIT */
/* A split block is freed as a block: its pages may have owners of their own by now. */
#include <quire/page.h>

int main(void)
{
	struct quire *q = quire_default();
	void *block = quire_alloc_pages(q, 3, 0);

	quire_split_pages(q, block, 3);
	quire_free_pages(q, block, 3);
	return 0;
}
