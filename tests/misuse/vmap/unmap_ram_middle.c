/* SPDX-License-Identifier: MIT */
/* The second page of a small mapping is given back. */
#include <quire/page.h>
#include <quire/vmap.h>

int main(void)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = (size_t)64 << 20, .backing = QUIRE_BACKING_MEMFD);
	struct quire *q = NULL;
	void *page, *pages[2];
	char *addr;

	if (quire_create(&options, &q) != 0)
		return 1;
	page = quire_alloc_pages(q, 0, 0);
	pages[0] = pages[1] = page;
	addr = quire_vm_map_ram(q, pages, 2, 0);
	quire_vm_unmap_ram(q, addr + quire_page_bytes(q), 1);
	return 0;
}
