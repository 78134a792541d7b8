/* SPDX-License-Identifier: MIT */
/* A small mapping is ended with another count. */
#include <quire/page.h>
#include <quire/vmap.h>

int main(void)
{
	struct quire *q = quire_default();
	void *page = quire_alloc_pages(q, 0, 0);
	void *addr = quire_vm_map_ram(q, &page, 1);

	quire_vm_map_ram(q, &page, 1);
	quire_vm_unmap_ram(q, addr, 2);
	return 0;
}
