/* SPDX-License-Identifier: MIT */
/* A large mapping is ended with another count. */
#include <quire/page.h>
#include <quire/vmap.h>

int main(void)
{
	struct quire *q = quire_default();
	void *page = quire_alloc_pages(q, 0, 0);
	void *pages[80];

	for (unsigned i = 0; i < 80; i++)
		pages[i] = page;
	quire_vm_unmap_ram(q, quire_vm_map_ram(q, pages, 80), 79);
	return 0;
}
