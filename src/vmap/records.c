/* SPDX-License-Identifier: MIT */
/*
 * vmap/records.c - spare records for ranges, available under the lock
 *
 * Ranges are cut and joined under the lock, where no pool may grow.  So a caller reserves
 * RECORDS_NEEDED records before it takes the lock, and records of joined ranges are collected
 * there.  A signal handler may do all this while the interrupted frame holds the pool's lock, or a lock that the
 * pool's holder waits for, so returning records only tries it.  A handler that has a record and gets neither
 * lock leaves it on a list of strays, which the next holder of the lock collects.
 *
 * Fork.  A record may stray while the kernel copies pages one after the other, and a child could have the head of after that
 * and the link of before.  So fork collects the strays when it has the lock, and the child begins with none; those of
 * meanwhile are lost there.  Until the fork is done calls of its thread, to which it lends the lock, collect none.
 */
#include "vmap/records.h"

#include <quire/quire.h>

#include "base/check.h"
#include "base/errno.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "pool/pool.h"
#include "vmap/layout.h"
#include "vmap/range.h"
#include "vmap/vmap.h"

static bool lock_for(struct vmap *v, unsigned flags, lock_token *token)
{
	return lock_acquire_or_try(&v->lock, flags & QUIRE_NOLOCK, token);
}

/* Adds a spare record, and returns surplus ones to the pool.  If the pool's lock is taken, perhaps
 * by the frame that this handler interrupted, the next call returns them. */
static void keep_locked(struct vmap *v, uint32_t index)
{
	CHECK(lock_is_held(&v->lock));
	range_at(v, index)->next = v->spares;
	v->spares = index;
	v->spares_nr++;
	while (v->spares_nr > RECORDS_AT_HAND) {
		index = v->spares;
		v->spares = range_at(v, index)->next;
		if (!pool_free_try(&v->pool, index)) {
			v->spares = index;
			break;
		}
		v->spares_nr--;
	}
}

/* Returns a record in a handler that has no lock. */
static void return_unlocked(struct vmap *v, uint32_t index)
{
	uint32_t first = load_relaxed(&v->strays); /* compared below */

	if (pool_free_try(&v->pool, index))
		return;
	do
		range_at(v, index)->next = first;
	while (!cas_release(&v->strays, &first, index)); /* pairs with the exchange below */
}

static void collect_strays_locked(struct vmap *v)
{
	uint32_t index;

	CHECK(lock_is_held(&v->lock));
	if (LIKELY(load_relaxed(&v->strays) == RANGE_NONE)) /* a hint: the next holder looks, too */
		return;
	if (load_relaxed(&v->forking)) /* of a fork just over: the next holder looks again */
		return;
	index = exchange_acquire(&v->strays, RANGE_NONE);
	while (index != RANGE_NONE) {
		uint32_t next = range_at(v, index)->next;

		keep_locked(v, index);
		index = next;
	}
}

void space_fork_prepare_locked(struct vmap *v)
{
	CHECK(lock_is_held(&v->lock));
	collect_strays_locked(v);
}

void space_fork_child_locked(struct vmap *v)
{
	CHECK(lock_is_held(&v->lock));
	store_relaxed(&v->strays, RANGE_NONE); /* nobody else runs */
}

int space_lock_for(struct vmap *v, unsigned flags, lock_token *token)
{
	for (;;) {
		uint32_t index;

		if (!lock_for(v, flags, token))
			return -EAGAIN;
		collect_strays_locked(v);
		if (LIKELY(v->spares_nr >= RECORDS_NEEDED))
			return 0;
		lock_release(&v->lock, *token);
		/* NORETRY: making room is left to the last resort, which may be the caller and then
		 * holds purge_mutex. */
		index = pool_alloc(&v->pool, flags | QUIRE_NORETRY);
		if (index == POOL_NONE)
			return -ENOMEM;
		if (!lock_for(v, flags, token)) {
			return_unlocked(v, index);
			return -EAGAIN;
		}
		keep_locked(v, index);
		lock_release(&v->lock, *token);
	}
}

uint32_t space_record_locked(struct vmap *v)
{
	uint32_t index = v->spares;

	CHECK(lock_is_held(&v->lock));
	CHECK(v->spares_nr != 0);
	v->spares = range_at(v, index)->next;
	v->spares_nr--;
	return index;
}

void space_retire_locked(struct vmap *v, uint32_t index)
{
	CHECK(lock_is_held(&v->lock));
	v->retired_uses += range_at(v, index)->uses;
	range_set_state(range_at(v, index), RANGE_PURGED);
	keep_locked(v, index);
}
