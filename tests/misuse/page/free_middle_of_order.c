/* SPDX-License-Identifier: MIT */
/* The second half of a block is freed as if it were a block. */
#include <quire/page.h>

int main(void)
{
	struct quire *q = quire_default();
	char *block = quire_alloc_pages(q, 2, 0);

	quire_free_pages(q, block + 2 * quire_page_bytes(q), 1);
	return 0;
}
