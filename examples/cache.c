/* SPDX-License-Identifier: MIT */
#include <quire/slab.h>
#include <stdio.h>

struct request {
	int sum;
	int parts[15];
};

/* Once for each object of a new slab.  Whoever frees a request leaves it as it was. */
static void construct(void *object, void *arg)
{
	struct request *request = object;

	request->sum = 0;
	for (int i = 0; i < 15; i++)
		request->parts[i] = *(int *)arg;
}

int main(void)
{
	int part = 2;
	const struct quire_cache_options options =
		QUIRE_CACHE_OPTIONS_INIT(.name = "request", .size = sizeof(struct request),
					 .construct = construct, .arg = &part);
	struct quire_cache_stat stat = QUIRE_CACHE_STAT_INIT;
	struct quire_cache *cache;
	struct request *request;
	int total = 0;

	if (quire_cache_create(quire_default(), &options, &cache) != 0)
		return 1;
	for (int i = 0; i < 1000; i++) {
		request = quire_cache_alloc(cache, 0);
		if (request == NULL)
			return 1;
		for (int j = 0; j < 15; j++)
			request->sum += request->parts[j];
		total += request->sum;
		request->sum = 0;
		quire_cache_free(cache, request);
	}
	if (quire_cache_stat_read(cache, &stat) != 0)
		return 1;
	printf("sum %d, %llu objects in use, in %llu slab\n", total, (unsigned long long)stat.used,
	       (unsigned long long)stat.slabs);
	return quire_cache_destroy(cache) == 0 ? 0 : 1;
}
