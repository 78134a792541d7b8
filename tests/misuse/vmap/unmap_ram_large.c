/* SPDX-License-Identifier: MIT */
/* A large mapping is ended with another count. */
#include <quire/page.h>
#include <quire/vmap.h>

int main(void)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = (size_t)64 << 20, .backing = QUIRE_BACKING_MEMFD);
	struct quire *q = NULL;
	void *page;
	void *pages[80];

	if (quire_create(&options, &q) != 0)
		return 1;
	page = quire_alloc_pages(q, 0, 0);
	for (unsigned i = 0; i < 80; i++)
		pages[i] = page;
	quire_vm_unmap_ram(q, quire_vm_map_ram(q, pages, 80, 0), 79);
	return 0;
}
