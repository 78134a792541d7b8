/* SPDX-License-Identifier: MIT */
/*
 * percpu/grow.c - creating a chunk or maps when nothing that exists has room
 *
 * The caller notes under the lock what is missing and drops the lock, since creating it takes
 * system calls.  Under the lock again, it counts the result only if the same thing is still
 * missing; otherwise another caller was faster, and this one searches again.  In each round some
 * caller succeeds.
 *
 *   a chunk    the next part of its arrays and its units are committed, which changes nothing if other
 *              callers do the same (space.c); the chunk is created if its number is still the next one
 *              (chunk.c).
 *   maps       likewise; none are added while the end of the array is being returned (populate.c).
 *
 * So no caller depends on the unfinished work of another, and a caller that may not wait is
 * refused only because of the limit, the system or the end of addresses.  Callers that may wait
 * do this one at a time, under alloc_mutex: if many miss the same thing, one creates it and the
 * others find it.
 *
 * QUIRE_NOLOCK creates nothing: it is served from populated room, and from unpopulated pages of
 * chunks that have maps.
 */
#include "percpu/grow.h"
#include "percpu/percpu.h"
#include "percpu/populate.h"

struct want grow_want_locked(const struct percpu *pc, uint32_t missing)
{
	struct want want = { .chunk = NONE, .maps = pc->populated_pages + missing };

	DCHECK(lock_is_held(&pc->lock));
	if (missing == 0)
		want.chunk = chunk_next_number_locked(pc);
	return want;
}

static int make(struct percpu *pc, const struct want *want, unsigned flags)
{
	if (want->chunk != NONE)
		return chunk_create(pc, want->chunk, flags);
	return maps_ready_for(pc, want->maps, flags);
}

int grow_make_held(struct percpu *pc, const struct want *want)
{
	CHECK(mutex_is_held(&pc->alloc_mutex));
	return make(pc, want, 0);
}

int grow_make(struct percpu *pc, const struct want *want, unsigned flags)
{
	int error;

	if (flags & QUIRE_NOLOCK)
		return -EAGAIN;
	if (flags & FLAGS_NO_MUTEX)
		return make(pc, want, flags);
	mutex_acquire(&pc->alloc_mutex);
	error = make(pc, want, flags);
	mutex_release(&pc->alloc_mutex);
	return error;
}
