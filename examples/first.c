/* SPDX-License-Identifier: MIT */
#include <quire/page.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
	struct quire *q = quire_default();
	char *page = quire_alloc_pages(q, 0, QUIRE_MOVABLE);

	if (page == NULL)
		return 1;
	strcpy(page, "hello from a page of one's own");
	puts(page);
	quire_free_pages(q, page, 0);
	return quire_release(q) == 0; /* the memory is the system's again */
}
