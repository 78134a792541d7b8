/* SPDX-License-Identifier: MIT */
/* Freed twice in a row: seen at once, on the CPU on which it was freed. */
#include <quire/slab.h>

int main(void)
{
	const struct quire_cache_options options =
		QUIRE_CACHE_OPTIONS_INIT(.name = "misuse", .size = 64);
	struct quire_cache *cache;
	char *object;

	if (quire_cache_create(quire_default(), &options, &cache) != 0)
		return 1;
	object = quire_cache_alloc(cache, 0);
	quire_cache_free(cache, object);
	quire_cache_free(cache, object);
	return 0;
}
