/* SPDX-License-Identifier: MIT */
/* An address inside a page is freed. */
#include <quire/page.h>

int main(void)
{
	struct quire *q = quire_default();
	char *page = quire_alloc_pages(q, 0, 0);

	quire_free_pages(q, page + 16, 0);
	return 0;
}
