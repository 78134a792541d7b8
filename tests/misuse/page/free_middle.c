/* SPDX-License-Identifier: MIT */
/* The second page of a block is freed. */
#include <quire/page.h>

int main(void)
{
	struct quire *q = quire_default();
	char *block = quire_alloc_pages(q, 2, 0);

	quire_free_pages(q, block + quire_page_bytes(q), 0);
	return 0;
}
