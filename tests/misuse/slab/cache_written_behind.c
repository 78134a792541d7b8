/* SPDX-License-Identifier: MIT */
/* One byte beyond the object. */
#include <quire/slab.h>

int main(void)
{
	const struct quire_cache_options options =
		QUIRE_CACHE_OPTIONS_INIT(.name = "misuse", .size = 64,
					 .flags = QUIRE_CACHE_RED_ZONE);
	struct quire_cache *cache;
	char *object;

	if (quire_cache_create(quire_default(), &options, &cache) != 0)
		return 1;
	object = quire_cache_alloc(cache, 0);
	object[64] = 1;
	quire_cache_free(cache, object);
	return 0;
}
