/* SPDX-License-Identifier: MIT */
/*
 * slab.h - object caches: many objects of one size, from per-CPU sheaves
 */
#ifndef QUIRE_SLAB_H
#define QUIRE_SLAB_H

#include <stddef.h>
#include <stdint.h>
#include <quire/quire.h>

#pragma GCC visibility push(default)

#ifdef __cplusplus
extern "C" {
#endif

struct quire_cache;

/* Flags of a cache. */
#define QUIRE_CACHE_RECLAIMABLE (1u << 0) /* its objects are given up when asked */
#define QUIRE_CACHE_ZERO	(1u << 1) /* every allocation is zeroed */
#define QUIRE_CACHE_POISON                                                                         \
	(1u << 2) /* freed objects are filled with a pattern, which allocation checks */
#define QUIRE_CACHE_RED_ZONE (1u << 3) /* guard bytes around each object, which free checks */
#define QUIRE_CACHE_HW_ALIGN (1u << 4) /* at least on cache lines, if larger than half of one */

struct quire_cache_options {
	uint32_t struct_bytes;
	uint32_t flags;
	const char *name; /* copied; at most 31 bytes count */
	size_t size;	  /* 1..QUIRE_OBJECT_MAX */
	size_t align;	  /* a power of two up to a page; 0: 8, or 16 from 16 bytes on */
	/* Runs once on each object of a new slab, not on each allocation; objects are freed in the state in which
	 * they were constructed. */
	void (*construct)(void *object, void *arg);
	void *arg;
};
#define QUIRE_CACHE_OPTIONS_INIT(...) QUIRE_SIZED_WITH_(struct quire_cache_options, __VA_ARGS__)
#define QUIRE_OBJECT_MAX	      32768u

int quire_cache_create(struct quire *q, const struct quire_cache_options *options,
		       struct quire_cache **out);
int quire_cache_destroy(struct quire_cache *cache);
void *quire_cache_alloc(struct quire_cache *cache, unsigned flags);
void quire_cache_free(struct quire_cache *cache, void *object);
size_t quire_cache_alloc_bulk(struct quire_cache *cache, unsigned flags, size_t count,
			      void **objects);
void quire_cache_free_bulk(struct quire_cache *cache, size_t count, void **objects);
size_t quire_cache_shrink(struct quire_cache *cache);

#ifdef __cplusplus
}
#endif

#pragma GCC visibility pop

#endif
