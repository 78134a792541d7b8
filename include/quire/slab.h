/* SPDX-License-Identifier: MIT */
/*
 * slab.h - object caches: many objects of one size, from per-CPU sheaves
 *
 * A cache hands out objects of one size.  Each CPU has a sheaf of free ones, from which an allocation is a few
 * instructions, and to which a free on that CPU returns, whichever CPU allocated the object.  Sheaves are filled from
 * slabs, runs of the instance's pages that are cut into objects.  docs/slab.md says how.
 *
 * Caches that differ in nothing but their names share slabs and sheaves, as in Linux.  A cache with a
 * constructor, with QUIRE_CACHE_POISON or QUIRE_CACHE_RED_ZONE has its own, and so has one with QUIRE_CACHE_OWN.
 *
 * The library keeps nothing in a free object, so a constructed object stays as it was freed.  Unless that is
 * asked for with QUIRE_CACHE_ZERO or QUIRE_ZERO, what an allocation returns has any content.
 *
 * All calls may be made by any number of threads at the same time, but none beside quire_cache_destroy() of the
 * same cache.
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

/* The largest object, with its red zones. */
#define QUIRE_OBJECT_MAX 32768u

/* Flags of a cache. */
#define QUIRE_CACHE_RECLAIMABLE                                                                    \
	(1u << 0)		       /* its objects are given up when asked: pages of their own */
#define QUIRE_CACHE_ZERO     (1u << 1) /* every allocation is zeroed; not with a constructor */
/* For debugging: freed objects are filled with a pattern, which allocation checks; not with a constructor. */
#define QUIRE_CACHE_POISON   (1u << 2)
/* For debugging: at least 16 bytes before and behind each object, which a free checks. */
#define QUIRE_CACHE_RED_ZONE (1u << 3)
#define QUIRE_CACHE_HW_ALIGN (1u << 4) /* objects of more than half a cache line begin with one */
#define QUIRE_CACHE_OWN	     (1u << 5) /* shares nothing with other caches */

/* How to make a cache.  Initialise it with QUIRE_CACHE_OPTIONS_INIT(). */
struct quire_cache_options {
	uint32_t struct_bytes; /* sizeof(struct quire_cache_options) */
	uint32_t flags;	       /* QUIRE_CACHE_... */
	const char *name;      /* copied, up to 31 bytes */
	size_t size;	       /* of an object: 1..QUIRE_OBJECT_MAX */
	size_t align;	       /* a power of two up to a page; 0: 16 */
	/* Runs once on each object of a new slab, in the thread whose allocation needs the slab, not on each
	 * allocation.  Objects are freed in the state in which they were constructed.  It makes no call to
	 * the cache.  NULL: none. */
	void (*construct)(void *object, void *arg);
	void *arg; /* passed to it */
};

#define QUIRE_CACHE_OPTIONS_INIT(...) QUIRE_SIZED_WITH_(struct quire_cache_options, __VA_ARGS__)

/**
 * quire_cache_create - make a cache
 * @q:		instance that the objects' memory is from
 * @options:	size, name and what else is special; copied
 * @out:	receives the cache, only on success
 *
 * Returns   0; -EINVAL for an option out of range, or options that exclude each other; -E2BIG for an option that this
 *           version does not know; -ENOSPC if 123 kinds of objects are in use; -ENOMEM if there is no memory for the
 *           record; -EOWNERDEAD in a child of fork with backing:memfd.
 * Context   may wait, and before a refusal for want of memory runs the program's shrinkers; not from a signal handler.
 * Cost      a mutex.  The first cache of an instance reserves addresses: some ten system calls.
 * Pair      quire_cache_destroy(); quire_destroy() takes all caches of its instance with it.
 * Linux     kmem_cache_create(), KMEM_CACHE().
 */
int quire_cache_create(struct quire *q, const struct quire_cache_options *options,
		       struct quire_cache **out);

/**
 * quire_cache_destroy - take a cache apart, unless objects of it are in use
 * @cache:	no other thread may be using it; NULL does nothing
 *
 * Of caches that share their slabs only the last one knows whether objects are in use, since nothing says whose they
 * are.  The others end at once, and their objects can still be freed to a cache of the same kind.
 *
 * Returns   0; -EBUSY if objects are in use: then nothing has changed, and quire_cache_stat_read() says how many;
 *           -EOWNERDEAD in a child of fork with backing:memfd.
 * Context   may wait; not from a signal handler.
 * Cost      a fence on the CPUs in use, and O(objects on sheaves); its slabs go back to the pages.
 * Pair      quire_cache_create().
 * Linux     kmem_cache_destroy(), which warns, and leaks what is in use.
 */
int quire_cache_destroy(struct quire_cache *cache);

/**
 * quire_cache_alloc - take an object
 * @cache:	cache
 * @flags:	QUIRE_ZERO, QUIRE_NOWAIT, QUIRE_ATOMIC, QUIRE_NOLOCK, QUIRE_NORETRY
 *
 * Returns   the object, or NULL with errno EINVAL (flags), ENOMEM (no page left, after all sheaves of the cache were
 *           emptied unless a flag forbids it), or EOWNERDEAD (backing:memfd, in a child of fork).
 * Context   as quire_alloc_pages(): may wait, and before a refusal runs the program's shrinkers; with NOWAIT or
 *           ATOMIC waits only for a spin lock, with NOLOCK for nothing; from a signal handler only with NOLOCK.
 * Cost      a few instructions from this CPU's sheaf; a lock or two for each batch that refills it; a block of
 *           pages for each slab.
 * Pair      quire_cache_free() of the same cache, on any thread.
 * Linux     kmem_cache_alloc(); with QUIRE_ZERO kmem_cache_zalloc().
 */
void *quire_cache_alloc(struct quire_cache *cache, unsigned flags);

/**
 * quire_cache_free - give an object back
 * @cache:	the cache it came from
 * @object:	the object; NULL does nothing
 *
 * A pointer that is no object of this kind stops the process at once.  So does a second free that follows the first one
 * on its CPU, and any in a cache with QUIRE_CACHE_RED_ZONE; others do when the object leaves this CPU's sheaf for its slab.
 *
 * Context   anywhere, signal handlers included; never waits for memory.
 * Cost      as quire_cache_alloc().
 * Linux     kmem_cache_free().
 */
void quire_cache_free(struct quire_cache *cache, void *object);

/**
 * quire_cache_alloc_bulk - take many objects
 * @cache:	cache
 * @flags:	as for quire_cache_alloc()
 * @count:	entries of @objects
 * @objects:	overwritten, without being read
 *
 * Returns   how many entries are filled, from the start.  Less than @count means that an object was refused, with errno
 *           as for quire_cache_alloc(); the other entries are NULL, and what was filled is the caller's.
 * Context   as quire_cache_alloc().
 * Cost      one pop for up to 64 objects of this CPU's sheaf; otherwise as quire_cache_alloc().
 * Linux     kmem_cache_alloc_bulk(), which fills all or nothing.
 */
size_t quire_cache_alloc_bulk(struct quire_cache *cache, unsigned flags, size_t count,
			      void **objects);

/**
 * quire_cache_free_bulk - give many objects back
 * @cache:	the cache they came from
 * @count:	entries of @objects
 * @objects:	entries that are NULL are passed over; all are NULL afterwards
 *
 * Context   as quire_cache_free().
 * Cost      as quire_cache_free() for each.
 * Linux     kmem_cache_free_bulk().
 */
void quire_cache_free_bulk(struct quire_cache *cache, size_t count, void **objects);

/**
 * quire_cache_shrink - empty a cache's sheaves, and give its empty slabs back to the instance's pages
 * @cache:	cache
 *
 * quire_release() does it for all caches, and gives memory back to the system.
 *
 * Returns   bytes of the slabs.
 * Context   may wait for a lock; not from a signal handler.
 * Cost      a fence on the CPUs in use, and O(objects on sheaves).
 * Linux     kmem_cache_shrink().
 */
size_t quire_cache_shrink(struct quire_cache *cache);

/**
 * quire_cache_used - where the objects are that are in use
 * @cache:	that no other thread uses meanwhile, as after a quire_cache_destroy() that was refused
 * @objects:	receives the addresses of up to @count of them
 * @count:	entries of @objects; may be 0
 *
 * Of caches that share their slabs each one's objects are among them: QUIRE_CACHE_OWN keeps a cache's own apart.
 *
 * Returns   how many are in use, also if that is more than @count; 0 in a child of fork with backing:memfd.
 * Context   may wait for a lock; not from a signal handler.
 * Cost      as quire_cache_shrink(), and a look at each slab of the instance.
 * Linux     what kmem_cache_destroy() prints of objects that remain.
 */
size_t quire_cache_used(struct quire_cache *cache, void **objects, size_t count);

/**
 * quire_cache_size - size of a cache's objects, as it was created
 * @cache:	cache
 *
 * Returns   bytes.
 * Context   anywhere, signal handlers included.
 * Cost      one load.
 * Linux     kmem_cache_size().
 */
size_t quire_cache_size(const struct quire_cache *cache);

/* What a cache holds, with those that share its slabs.  Gauges may be torn against each other while other threads run;
 * each is right by itself. */
struct quire_cache_stat {
	uint32_t struct_bytes; /* before a call its size, afterwards what was filled */
	uint32_t caches;       /* that share the slabs; malloc counts as one */
	uint32_t slot_bytes;   /* from one object to the next */
	uint32_t slab_objects; /* objects in a slab */
	uint64_t slab_bytes;   /* of one slab */
	uint64_t slabs;
	uint64_t emptying_slabs; /* of those: sparse ones that get no new users */
	uint64_t objects;	 /* in all slabs: used, cached or free */
	uint64_t used;		 /* handed out */
	uint64_t cached;	 /* on sheaves, or between sheaves and slabs */
};

#define QUIRE_CACHE_STAT_INIT QUIRE_SIZED_(struct quire_cache_stat)

/**
 * quire_cache_stat_read - what a cache holds
 * @cache:	cache
 * @stat:	initialised; to be filled
 *
 * Exact while no other thread uses the instance.
 *
 * Returns   0; -EINVAL if @stat's size is not set.
 * Context   waits for the worker's visit; not from a signal handler.
 * Cost      a lock, and a look at every CPU's sheaf.
 */
int quire_cache_stat_read(const struct quire_cache *cache, struct quire_cache_stat *stat);

/* What all object caches of an instance hold, malloc's blocks included where it serves malloc().  Gauges may be torn against each
 * other while other threads run; each is right by itself. */
struct quire_slab_stat {
	uint32_t struct_bytes; /* before a call its size, afterwards what was filled */
	uint32_t classes;      /* sizes that have been used */
	uint64_t slabs, slab_bytes;
	uint64_t emptying_slabs; /* of those: sparse ones that get no new users */
	uint64_t objects;	 /* in all slabs: used, cached or free */
	uint64_t used, used_bytes;
	uint64_t cached, cached_bytes; /* on sheaves, or between sheaves and slabs */
	uint64_t free_bytes;	       /* of objects that are free in their slabs */
	uint64_t refills, spills;      /* sheaves filled and emptied on slow paths */
	uint64_t metadata_bytes;       /* of records and maps that were written */
};

#define QUIRE_SLAB_STAT_INIT QUIRE_SIZED_(struct quire_slab_stat)

/**
 * quire_slab_stat_read - what all object caches hold
 * @q:		instance
 * @stat:	initialised; to be filled
 *
 * Exact while no other thread uses the instance.  All zero if it has had no cache.
 *
 * Returns   0; -EINVAL if @stat's size is not set.
 * Context   waits for the worker's visit; not from a signal handler.
 * Cost      a lock for each size, and a look at every CPU's sheaves.
 */
int quire_slab_stat_read(const struct quire *q, struct quire_slab_stat *stat);

/**
 * quire_text_slabinfo - all caches of an instance, in the shape of /proc/slabinfo
 * @q:		instance
 * @buffer:	receives at most @bytes, the final NUL included; may be NULL if @bytes is 0
 * @bytes:	size of @buffer
 *
 * Caches that share slabs have a line each, with the same numbers.  Of the tunables, limit is what a CPU's sheaf keeps
 * at most, batchcount what it grows to by refills alone, sharedfactor the number of caches that share; sharedavail is what is on
 * sheaves.  Lines malloc-SIZE are blocks of a malloc() that the instance serves.
 *
 * Returns   the length of the whole text without its NUL, as snprintf() does.
 * Context   waits for the worker's visit; not from a signal handler.
 * Cost      a lock and a line of text for each cache, and a look at every CPU's sheaves.
 * Linux     /proc/slabinfo.
 */
size_t quire_text_slabinfo(const struct quire *q, char *buffer, size_t bytes);

#ifdef __cplusplus
}
#endif

#pragma GCC visibility pop

#endif
