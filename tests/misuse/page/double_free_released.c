/* SPDX-License-Identifier: MIT */
/* By the second free the memory of the page went back to the system. */
#include <quire/page.h>

int main(void)
{
	struct quire *q = quire_default();
	void *page = quire_alloc_pages(q, 0, 0);

	quire_free_pages(q, page, 0);
	quire_release(q);
	quire_free_pages(q, page, 0);
	return 0;
}
