/* SPDX-License-Identifier: MIT */
/*
 * percpu/grow.c - what an allocation makes when nothing that exists has room: a chunk, or maps
 *
 * The caller notes under the lock what it missed and drops the lock, since making it takes system
 * calls.  What it makes is counted under the lock again, and only if it is still what is missing: else
 * somebody was faster, and the caller looks again.  Each turn is some caller's success.
 *
 *   a chunk    its arrays' next part and its units are committed, which changes nothing if others do or
 *              did the same (space.c); the chunk is made if its number is still the next (chunk.c).
 *   maps       likewise; they are not added while others are on their way out (populate.c).
 *
 * So nobody depends on what another one is in the middle of, and a caller that may not wait is refused
 * by the limit, the system or the end of addresses, not by a neighbour.  Callers that may wait come one
 * at a time, under alloc_mutex: of many that miss the same, one makes it, and the others find it.
 *
 * QUIRE_NOLOCK makes nothing: it is served from populated room, and from unpopulated pages of chunks
 * for which there are maps.
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
