/* SPDX-License-Identifier: MIT */
/* With page_poison:on a page is written to after it was freed, and allocated again. */
#include <quire/page.h>

int main(void)
{
	struct quire_options options =
		QUIRE_OPTIONS_INIT(.page_poison = QUIRE_ON, .limit_bytes = 64 << 20);
	struct quire *q;
	char *page;

	if (quire_create(&options, &q) != 0)
		return 1;
	page = quire_alloc_pages(q, 0, 0);
	quire_free_pages(q, page, 0);
	page[100] = 1;
	while (quire_alloc_pages(q, 0, 0) != NULL)
		;
	return 0;
}
