/* SPDX-License-Identifier: MIT */
/* A page of the same instance. */
#include <quire/page.h>
#include <quire/slab.h>

int main(void)
{
	const struct quire_cache_options options =
		QUIRE_CACHE_OPTIONS_INIT(.name = "misuse", .size = 64);
	struct quire *q = quire_default();
	struct quire_cache *cache;

	if (quire_cache_create(q, &options, &cache) != 0)
		return 1;
	quire_cache_free(cache, quire_alloc_pages(q, 0, 0));
	return 0;
}
