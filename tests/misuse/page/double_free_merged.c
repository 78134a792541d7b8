/* SPDX-License-Identifier: MIT */
/* By the second free the page is the middle of a larger free run. */
#include <quire/page.h>

int main(void)
{
	struct quire *q = quire_default();
	void *low = quire_alloc_pages(q, 0, 0);
	void *high = quire_alloc_pages(q, 0, 0);

	quire_free_pages(q, low, 0);
	quire_free_pages(q, high, 0);
	quire_drain_all(q);
	quire_free_pages(q, high, 0);
	return 0;
}
