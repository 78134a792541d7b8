/* SPDX-License-Identifier: MIT */
/* A block that was never split is freed as a range. */
#include <quire/page.h>

int main(void)
{
	struct quire *q = quire_default();

	quire_free_contig_range(q, quire_alloc_pages(q, 2, 0), 4 * quire_page_bytes(q));
	return 0;
}
