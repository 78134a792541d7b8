/* SPDX-License-Identifier: MIT */
#include <quire/page.h>
#include <quire/vmap.h>
#include <stdio.h>
#include <string.h>

#define PAGES 16

int main(void)
{
	struct quire_options options = QUIRE_OPTIONS_INIT(.backing = QUIRE_BACKING_MEMFD);
	void *pages[2 * PAGES] = { NULL };
	struct quire *q;
	size_t bytes;
	char *ring;

	if (quire_create(&options, &q) != 0)
		return 1;
	bytes = PAGES * quire_page_bytes(q);
	if (quire_alloc_pages_bulk(q, pages, PAGES, 0) != PAGES)
		return 1;
	memcpy(pages + PAGES, pages, sizeof(pages) / 2);
	ring = quire_vmap(q, pages, 2 * PAGES, 0); /* the same pages twice, side by side */
	if (ring == NULL)
		return 1;
	/* A message across the end is one piece to its writer and to its reader. */
	strcpy(ring + bytes - 6, "no end in sight");
	printf("%s; the ring begins with \"%s\"\n", ring + bytes - 6, ring);
	quire_vunmap(q, ring);
	quire_free_pages_bulk(q, pages, PAGES);
	quire_destroy(q);
	return 0;
}
