/* SPDX-License-Identifier: MIT */
/* The second page of a small mapping is given back. */
#include <quire/page.h>
#include <quire/vmap.h>

int main(void)
{
	struct quire *q = quire_default();
	void *page = quire_alloc_pages(q, 0, 0);
	void *pages[2] = { page, page };
	char *addr = quire_vm_map_ram(q, pages, 2);

	quire_vm_unmap_ram(q, addr + quire_page_bytes(q), 1);
	return 0;
}
