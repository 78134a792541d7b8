/* SPDX-License-Identifier: MIT */
/* A block is freed with a larger order than it has. */
#include <quire/page.h>

int main(void)
{
	struct quire *q = quire_default();
	void *block = quire_alloc_pages(q, 3, 0);

	quire_free_pages(q, block, 4);
	return 0;
}
