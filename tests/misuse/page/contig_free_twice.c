/* SPDX-License-Identifier: MIT */
/* A range is freed that one page of was freed before. */
#include <quire/page.h>

int main(void)
{
	struct quire *q = quire_default();
	char *pages = quire_alloc_pages_exact(q, 5 * quire_page_bytes(q), 0);

	quire_free_pages(q, pages + 2 * quire_page_bytes(q), 0);
	quire_free_contig_range(q, pages, 5 * quire_page_bytes(q));
	return 0;
}
