/* SPDX-License-Identifier: MIT */
/* A short mapping is unmapped with another count. */
#include <quire/page.h>
#include <quire/vmap.h>

int main(void)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = (size_t)64 << 20, .backing = QUIRE_BACKING_MEMFD);
	struct quire *q = NULL;
	void *pages[4] = { NULL }, *addr;

	if (quire_create(&options, &q) != 0 || quire_alloc_pages_bulk(q, pages, 4, 0) != 4)
		return 1;
	addr = quire_vm_map_ram(q, pages, 4, 0);
	quire_vm_unmap_ram(q, addr, 1);
	return 0;
}
