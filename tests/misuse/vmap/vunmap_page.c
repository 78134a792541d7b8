/* SPDX-License-Identifier: MIT */
/* A page is given to quire_vunmap(). */
#include <quire/page.h>
#include <quire/vmap.h>

int main(void)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = (size_t)64 << 20, .backing = QUIRE_BACKING_MEMFD);
	struct quire *q = NULL;
	void *page;

	if (quire_create(&options, &q) != 0)
		return 1;
	page = quire_alloc_pages(q, 0, 0);
	quire_vunmap(q, quire_vmap(q, &page, 1, 0));
	quire_vunmap(q, page);
	return 0;
}
