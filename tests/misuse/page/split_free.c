/* SPDX-License-Identifier: MIT */
/* A block is split after it was freed. */
#include <quire/page.h>

int main(void)
{
	struct quire *q = quire_default();
	void *block = quire_alloc_pages(q, 3, 0);

	quire_free_pages(q, block, 3);
	quire_split_pages(q, block, 3);
	return 0;
}
