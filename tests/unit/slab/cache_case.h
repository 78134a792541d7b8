/* SPDX-License-Identifier: MIT */
/* cache_case.h - an instance with one cache, for the tests of what is in front of slabs */
#ifndef CACHE_CASE_H
#define CACHE_CASE_H

#include "quire_test.h"

#include <errno.h>

#include <quire/quire.h>
#include <quire/slab.h>

#include "instance/instance.h"
#include "instance/worker.h"
#include "machine/work.h"
#include "slab/cache.h"
#include "slab/objects.h"
#include "slab/sheaf.h"

struct cache_case {
	struct quire *q;
	struct quire_cache *cache;
	struct slabs *s;
	unsigned class;
};

static inline struct quire_cache *cache_make(struct quire *q, size_t size, uint32_t flags)
{
	const struct quire_cache_options options =
		QUIRE_CACHE_OPTIONS_INIT(.name = "test", .size = size, .flags = flags);
	struct quire_cache *cache;

	assert_int_equal(quire_cache_create(q, &options, &cache), 0);
	return cache;
}

static inline struct cache_case case_begin(const struct quire_options *options, size_t size)
{
	struct cache_case it;

	assert_int_equal(quire_create(options, &it.q), 0);
	it.cache = cache_make(it.q, size, 0);
	it.s = it.q->slabs;
	it.class = it.cache->class;
	return it;
}

/* The worker does nothing by itself, and all is on one CPU's sheaf. */
static inline struct cache_case case_begin_still(size_t size)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(256), .worker = QUIRE_WORKER_OFF);

	pin_to_cpu((unsigned)allowed_cpu_next(0));
	return case_begin(&options, size);
}

static inline void case_end(struct cache_case *it)
{
	assert_int_equal(quire_verify(it->q), 0);
	quire_destroy(it->q);
}

static inline struct quire_cache_stat case_stat(const struct cache_case *it)
{
	struct quire_cache_stat stat = QUIRE_CACHE_STAT_INIT;

	assert_int_equal(quire_cache_stat_read(it->cache, &stat), 0);
	return stat;
}

static inline void case_alloc(struct cache_case *it, void **objects, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		objects[i] = quire_cache_alloc(it->cache, 0);
		assert_non_null(objects[i]);
	}
}

static inline void case_free(struct cache_case *it, void **objects, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		quire_cache_free(it->cache, objects[i]);
}

static inline bool case_has_sheaves(const struct cache_case *it)
{
	return it->s->lean->slots_open != 0;
}

static inline uint64_t case_refills(const struct cache_case *it)
{
	uint64_t n = 0;

	for (unsigned slot = 0; slot < it->s->lean->slots_open; slot++)
		n += it->s->cpu[slot].refills;
	return n;
}

#endif
