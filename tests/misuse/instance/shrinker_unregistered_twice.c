/* SPDX-License-Identifier: MIT */
/* A shrinker is unregistered that is not registered any more, after another has taken its place. */
#include <quire/quire.h>

static size_t scan(size_t bytes, void *arg)
{
	(void)bytes;
	(void)arg;
	return 0;
}

int main(void)
{
	const struct quire_shrinker shrinker = QUIRE_SHRINKER_INIT(.name = "cache", .scan = scan);
	struct quire *q = quire_default();
	uint64_t first, second;

	quire_shrinker_register(q, &shrinker, &first);
	quire_shrinker_unregister(q, first);
	quire_shrinker_register(q, &shrinker, &second);
	quire_shrinker_unregister(q, first);
	return 0;
}
