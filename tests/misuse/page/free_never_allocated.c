/* SPDX-License-Identifier: MIT */
/* A page that the instance has never handed out is freed. */
#include <quire/page.h>

int main(void)
{
	struct quire *q = quire_default();
	char *page = quire_alloc_pages(q, 0, 0);

	while (quire_page_address(q, page + ((size_t)1 << 21)) != NULL)
		page += (size_t)1 << 21;
	quire_free_pages(q, page, 0);
	return 0;
}
