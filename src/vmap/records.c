/* SPDX-License-Identifier: MIT */
/*
 * vmap/records.c - spare records for ranges, available under the lock
 *
 * Ranges are cut and joined under the lock, where no pool may grow.  So a caller reserves
 * RECORDS_NEEDED records before it takes the lock, and records of joined ranges are collected
 * there.  A signal handler may do all this while the interrupted frame holds the pool's lock, so
 * returning records only tries it.
 */
#include "vmap/records.h"

#include <quire/quire.h>

#include "base/check.h"
#include "base/errno.h"
#include "machine/lock.h"
#include "pool/pool.h"
#include "vmap/layout.h"
#include "vmap/range.h"
#include "vmap/vmap.h"

static bool lock_for(struct vmap *v, unsigned flags, lock_token *token)
{
	if (flags & QUIRE_NOLOCK)
		return lock_try(&v->lock, token);
	*token = lock_acquire(&v->lock);
	return true;
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

int space_lock_for(struct vmap *v, unsigned flags, lock_token *token)
{
	for (;;) {
		uint32_t index;

		if (!lock_for(v, flags, token))
			return -EAGAIN;
		if (LIKELY(v->spares_nr >= RECORDS_NEEDED))
			return 0;
		lock_release(&v->lock, *token);
		/* NORETRY: making room is left to the last resort, which may be the caller and then
		 * holds purge_mutex. */
		index = pool_alloc(&v->pool, flags | QUIRE_NORETRY);
		if (index == POOL_NONE)
			return -ENOMEM;
		if (!lock_for(v, flags, token)) {
			pool_free(&v->pool, index); /* its lock was taken by a try just now */
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
