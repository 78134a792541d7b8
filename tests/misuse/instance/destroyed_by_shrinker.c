/* SPDX-License-Identifier: MIT */
/* A shrinker destroys the instance that an allocation is about to use. */
#include <quire/page.h>

static size_t scan(size_t bytes, void *arg)
{
	(void)bytes;
	quire_destroy(arg);
	return 0;
}

int main(void)
{
	struct quire *q = quire_default();
	const struct quire_shrinker shrinker =
		QUIRE_SHRINKER_INIT(.name = "cache", .scan = scan, .arg = q);
	uint64_t id;

	quire_shrinker_register(q, &shrinker, &id);
	while (quire_alloc_pages(q, 0, 0) != NULL)
		continue;
	return 0;
}
