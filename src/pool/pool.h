/* SPDX-License-Identifier: MIT */
/*
 * pool/pool.h - fixed-size records for descriptors, named by small numbers
 *
 * vmap and percpu keep their descriptors in records of a pool, so neither needs a slab allocator.
 * An index names a record, so links and entries of per-CPU stacks take 4 bytes; pool_record() is one
 * multiplication by a power of two.  A pool has a reservation of its own and does not use pages of
 * the instance, because an index into the instance's whole span would not fit into 32 bits beyond
 * 256 GiB.  Records are committed in whole pages, which count against the limit.
 *
 * Words
 *   group   the records of one page (at least 64); the unit of committing and returning memory
 *   partial a group with free and used records; allocation takes from the newest partial group
 *   empty   a group all of whose records are free
 *   cold    a group whose memory was returned: it reads zero when committed again
 *
 * A record's content is unspecified when it is allocated, but its bytes survive being free: reading
 * through a stale index is safe, but the result cannot be trusted.
 *
 * Invariants, checked by pool_verify(): each ready group is on the list that its words say, the lists
 * end, used_nr is the sum of used records, and the charge covers exactly the groups that are committed
 * or in a step.
 */
#ifndef POOL_POOL_H
#define POOL_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine/lock.h"

#define POOL_NONE UINT32_MAX

struct quire;

struct pool_list {
	uint32_t head; /* group; POOL_NONE */
	uint32_t nr;
};

/* Keys: (c) constant after pool_init(); (l) under lock. */
struct pool {
	struct lock lock;	 /* RANK_POOL */
	lock_token kept;	 /* (l) over fork */
	struct mutex grow_mutex; /* RANK_POOL_GROW: serializes callers that may wait */
	struct quire *q;	 /* (c) charged for what is committed */
	char *base;		 /* (c) record 0; groups' words and links stand before it */
	size_t span_bytes;	 /* (c) of the whole reservation */
	size_t group_bytes;	 /* (c) a multiple of the system's page */
	uint8_t record_shift;	 /* (c) */
	uint8_t words_nr;	 /* (c) of 64 records each, in a group */
	uint32_t group_shift;	 /* (c) log2 of records in a group */
	uint32_t groups_max;	 /* (c) */
	uint32_t groups_ready;	 /* (l) groups [0, ready) were committed at some time */
	uint32_t step_nr;	 /* (l) groups after them that are charged and being committed */
	uint32_t committers;	 /* (l) callers that commit those */
	uint64_t charged_pages;	 /* (l) of the instance, for what is committed or about to be */
	uint64_t *words;	 /* (l) one bit per record, set if it is free; words_nr per group */
	struct pool_group {
		uint32_t prev, next;
		uint32_t used_nr;
	} * group;			       /* (l) */
	struct pool_list partial, empty, cold; /* (l) */
	uint32_t used_nr;		       /* (l) */
};

/**
 * pool_init - make a pool of at most @records_max records of @record_bytes
 * @record_bytes: a power of two, 16..1024
 *
 * Reserves addresses only.  Returns 0 or -ENOMEM.
 */
int pool_init(struct pool *pool, struct quire *q, size_t record_bytes, uint32_t records_max,
	      const char *name);
void pool_fini(struct pool *pool);

/* Returns a record, or POOL_NONE if refused.  May commit memory, so not under a spin lock.  @flags are the
 * caller's QUIRE_*: with NOWAIT or ATOMIC it never waits for another committer; with NOLOCK it only tries
 * the lock. */
uint32_t pool_alloc(struct pool *pool, unsigned flags);
/* As pool_alloc(), but never commits: legal under spin locks of ranks below RANK_POOL. */
uint32_t pool_take(struct pool *pool, unsigned flags);
/* Legal under the same locks, not from a signal handler.  Never fails. */
void pool_free(struct pool *pool, uint32_t index);
/* As pool_free(), but legal anywhere.  Returns false if the lock is taken: the record is not freed. */
bool pool_free_try(struct pool *pool, uint32_t index);
/* Returns the memory of empty groups to the system.  Returns the bytes. */
size_t pool_shrink(struct pool *pool);
/* Bytes committed for records. */
uint64_t pool_bytes(struct pool *pool);
/* 0, or 1 if a rule of the pool is broken. */
int pool_verify(struct pool *pool);
void pool_fork_prepare_mutex(struct pool *pool);
void pool_fork_prepare_lock(struct pool *pool);
void pool_fork_done(struct pool *pool, bool child);

static inline void *pool_record(const struct pool *pool, uint32_t index)
{
	return pool->base + ((size_t)index << pool->record_shift);
}

static inline uint32_t pool_index(const struct pool *pool, const void *record)
{
	return (uint32_t)((size_t)((const char *)record - pool->base) >> pool->record_shift);
}

#endif
