/* SPDX-License-Identifier: MIT */
/* A shrinker stops the worker, on whose thread it may run. */
#include <quire/page.h>

static size_t scan(size_t bytes, void *arg)
{
	(void)bytes;
	quire_worker_stop(arg);
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
