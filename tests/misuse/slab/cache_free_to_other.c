/* SPDX-License-Identifier: MIT */
/* An object of another size's cache. */
#include <quire/slab.h>

static struct quire_cache *make(size_t size)
{
	const struct quire_cache_options options =
		QUIRE_CACHE_OPTIONS_INIT(.name = "misuse", .size = size);
	struct quire_cache *cache = NULL;

	quire_cache_create(quire_default(), &options, &cache);
	return cache;
}

int main(void)
{
	struct quire_cache *cache = make(64), *other = make(128);

	quire_cache_free(other, quire_cache_alloc(cache, 0));
	return 0;
}
