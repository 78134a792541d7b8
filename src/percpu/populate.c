/* SPDX-License-Identifier: MIT */
/*
 * percpu/populate.c - populating and depopulating a chunk's pages
 *
 * Populating is bookkeeping and a charge: a chunk's units are usable as soon as the chunk exists,
 * and the system provides memory when a CPU writes its copy.  So a page that is populated on 256
 * CPUs and written on two costs two pages.  Depopulating returns that memory on all CPUs.
 *
 * So populating needs only the lock: one hold makes the charge, sets the bits, and gives the
 * pages to the object.  Two callers cannot both pay for one page, no caller pays for a page that
 * it does not use, and a caller that may not wait populates while other threads grow or
 * depopulate.
 *
 * Why the lock may be dropped while a chunk's empty pages are returned
 *   1. alloc_mutex is held, so no other thread depopulates or destroys the chunk.
 *   2. The chunk is TO_DEPOPULATE, and no search for room visits it: no new object can appear in a page
 *      that was found empty, and no page of it is populated meanwhile.
 *   3. Only a free can happen meanwhile.  It can make more pages empty, never fewer, and does not change
 *      the state of a chunk that is TO_DEPOPULATE.
 *   4. So decisions made under the lock remain valid.  Pages that became empty meanwhile are searched for
 *      before the chunk is sidelined (R3).
 *
 * Each round makes one gather per chunk, over the runs of empty pages of all units, from the
 * highest down.  Until the gather has finished some CPU may still access the old memory.  Only
 * then are the pages counted as unpopulated, and the chunk gets a state in which searches find it
 * again (R1).
 */
#include "percpu/populate.h"
#include "percpu/balance.h"
#include "percpu/index.h"
#include "percpu/place.h"
#include "percpu/sparse.h"

#include "base/round.h"

#define ROUNDS_MAX 4u

/* While maps are given back none can be added.  So many stay ready beyond what is populated, for callers
 * that may not wait until that is done: a chunk's, of 132 bytes each. */
#define MAPS_SPARE UNIT_PAGES_MAX

/* Counts pages as populated.  They are charged and maps are ready for them: P5, P8, P10, P11. */
void populate_locked(struct percpu *pc, uint32_t chunk, uint64_t pages)
{
	struct percpu_chunk *c = &pc->chunk[chunk];
	uint32_t nr = bits_count(pages);

	DCHECK(lock_is_held(&pc->lock));
	CHECK_VALUES(c->state != CHUNK_NONE && chunk_is_usable(c), chunk, c->state);
	CHECK_VALUES((c->populated & pages) == 0, c->populated, pages);
	CHECK_VALUES(pc->populated_pages + nr <= pc->maps_ready, pc->populated_pages, nr);
	c->populated |= pages;
	pc->populated_pages += nr;
	pc->gains++;
	pc->stat.pages_populated += nr;
	if (!c->isolated)
		store_relaxed(&pc->empty_pages, pc->empty_pages + bits_count(pages & c->free));
	index_chunk_locked(pc, chunk);
	sparse_populate_locked(pc, chunk, pages);
	for (; pages != 0; pages &= pages - 1)
		pc->page[page_number(pc, chunk, bit_lowest(pages))].fresh = 0;
}

/* Charges pages but the first @charged, and populates them.  0; -EAGAIN: maps for them must be made first;
 * or the charge's refusal: then nothing has changed. */
int populate_try_locked(struct percpu *pc, uint32_t chunk, uint64_t pages, uint32_t charged,
			unsigned flags)
{
	uint32_t nr = bits_count(pages);
	int error = 0;

	DCHECK(lock_is_held(&pc->lock));
	if (pc->populated_pages + nr > pc->maps_ready)
		return -EAGAIN;
	if (nr > charged)
		error = percpu_charge(pc, (uint64_t)(nr - charged) * pc->units, flags);
	if (!error)
		populate_locked(pc, chunk, pages);
	return error;
}

/* Whole pages of maps for so many pages. */
static uint32_t maps_for(const struct percpu *pc, uint64_t pages)
{
	uint64_t unit = mem_page_bytes() >> pc->map_shift;

	unit = unit != 0 ? unit : 1;
	return (uint32_t)round_up(pages, unit);
}

/* Makes sure that so many pages can have maps.  0; -ENOMEM; -EAGAIN: maps are being given back, which does
 * not happen to the holder of alloc_mutex. */
int maps_ready_for(struct percpu *pc, uint64_t pages, unsigned flags)
{
	uint32_t ready = maps_for(pc, pages);
	lock_token token;
	int error;

	error = grown_to(pc, &pc->grown_maps, (size_t)ready << pc->map_shift, flags);
	if (!error)
		error = grown_to(pc, &pc->grown_owners, ready * sizeof(uint32_t), flags);
	if (error)
		return error;
	token = lock_acquire(&pc->lock);
	if (pc->maps_leaving)
		error = -EAGAIN;
	else if (pc->maps_ready < ready)
		pc->maps_ready = ready;
	percpu_unlock(pc, token);
	return error;
}

/* Adds to a gather the whole pages of an array between its first @used bytes and @end, where its use ended
 * before. */
static void unback_tail(struct gather *gather, const struct grown *grown, size_t used, size_t end)
{
	size_t from = round_up(used, mem_page_bytes());

	end = round_up(end, mem_page_bytes());
	if (from < end)
		gather_unback(gather, grown->base + from, end - from);
}

/* Begins a gather in the instance's arrays, which belong to the holder of alloc_mutex. */
static void begin(struct percpu *pc, struct gather *gather)
{
	gather_begin(gather, pc->ranges, pc->ranges_max);
	gather_lend(gather, pc->vector, pc->ranges_max);
}

/* How many maps to keep: all of them, unless returning some is worth a system call. */
static uint32_t maps_left_locked(const struct percpu *pc, bool all)
{
	uint32_t left = maps_for(pc, pc->populated_pages + MAPS_SPARE);

	DCHECK(lock_is_held(&pc->lock));
	if (!all && pc->maps_ready <= pc->populated_pages * 2 + MAPS_SPARE)
		return pc->maps_ready;
	return left < pc->maps_ready ? left : pc->maps_ready;
}

/* Gives back the memory of maps that no populated page can need.  Returns bytes. */
size_t maps_trim(struct percpu *pc, bool all)
{
	struct gather gather;
	lock_token token = lock_acquire(&pc->lock);
	uint32_t was = pc->maps_ready, ready = maps_left_locked(pc, all);
	size_t bytes;

	CHECK(mutex_is_held(&pc->alloc_mutex));
	pc->maps_ready = ready;
	pc->maps_leaving = ready < was;
	percpu_unlock(pc, token);
	if (ready == was)
		return 0;
	begin(pc, &gather);
	unback_tail(&gather, &pc->grown_maps, (size_t)ready << pc->map_shift,
		    (size_t)was << pc->map_shift);
	unback_tail(&gather, &pc->grown_owners, ready * sizeof(uint32_t), was * sizeof(uint32_t));
	bytes = gather_finish(&gather);
	token = lock_acquire(&pc->lock);
	pc->maps_leaving = false;
	percpu_unlock(pc, token);
	return bytes;
}

/* ---- giving back ---- */

static uint64_t run_mask(uint32_t first, uint32_t last)
{
	return ~(uint64_t)0 >> (63 - (last - first)) << first;
}

/* The highest run of set bits. */
static uint64_t highest_run(uint64_t bits)
{
	uint32_t last = bit_highest(bits), first = last;

	while (first != 0 && (bits >> (first - 1) & 1) != 0)
		first--;
	return run_mask(first, last);
}

/* False if a range kept its content: the system refused it. */
static bool finish(struct percpu *pc, struct gather *gather)
{
	bool taken = true;

	gather_finish(gather);
	for (unsigned i = 0; i < gather->ranges_nr; i++)
		taken = taken && gather->ranges[i].error == 0;
	fetch_add_relaxed(&pc->flushes, 1); /* lock is dropped */
	return taken;
}

/* Adds a run of pages in all units; finishes a gather that is full and begins another. */
static bool unback_run(struct percpu *pc, struct gather *gather, uint32_t chunk, uint64_t run)
{
	uint32_t page = page_number(pc, chunk, bit_lowest(run)), pages = bits_count(run);
	char *ptr = place_ptr(pc, place_of_page(pc, page));
	uint32_t units = pc->units;
	bool taken = true;

	for (uint32_t unit = 0; unit < units; unit++) {
		if (gather_is_full(gather)) {
			taken = finish(pc, gather) && taken;
			begin(pc, gather);
		}
		gather_unback(gather, ptr + unit * QUIRE_PERCPU_STRIDE,
			      (size_t)pages << pc->page_shift);
	}
	return taken;
}

/* Returns the memory of these empty pages.  The result is the pages; or 0 if the system refused some of them:
 * then all stay populated, which is right, since a populated page need not have memory. */
static uint64_t depopulate_round(struct percpu *pc, uint32_t chunk, uint64_t empty)
{
	struct gather gather;
	bool taken = true;

	begin(pc, &gather);
	for (uint64_t left = empty; left != 0;) {
		uint64_t run = highest_run(left);

		taken = unback_run(pc, &gather, chunk, run) && taken;
		left &= ~run;
	}
	taken = finish(pc, &gather) && taken;
	return taken ? empty : 0;
}

static void account_locked(struct percpu *pc, uint32_t chunk, uint64_t gone)
{
	struct percpu_chunk *c = &pc->chunk[chunk];
	uint32_t nr = bits_count(gone);

	CHECK(mutex_is_held(&pc->alloc_mutex));
	DCHECK(lock_is_held(&pc->lock));
	c->populated &= ~gone;
	pc->populated_pages -= nr;
	pc->stat.pages_depopulated += nr;
	pc->stat.flushed_pages += nr;
	index_chunk_locked(pc, chunk);
}

/* Gives the chunk its next state when nothing more of it is returned.  @returns: it is to be used again, with
 * the empty pages that it has. */
static void settle_locked(struct percpu *pc, uint32_t chunk, bool returns)
{
	struct percpu_chunk *c = &pc->chunk[chunk];

	DCHECK(lock_is_held(&pc->lock));
	if (returns || c->objects_nr == 0)
		chunk_reintegrate_locked(pc, chunk);
	else
		chunk_sideline_locked(pc, chunk);
}

/*
 * Gives back the empty pages of a chunk that is TO_DEPOPULATE, and then sidelines it or returns it:
 * to FREE if it has no object, to ACTIVE with the pages it has left if the others hold less than
 * the reserve (R5), unless @all, or if the system kept some of them (P8).  With @all and without
 * objects it stays where nobody looks for room, and *@bare says that it can be destroyed.
 */
size_t depopulate(struct percpu *pc, uint32_t chunk, bool all, bool *bare)
{
	struct percpu_chunk *c = &pc->chunk[chunk];
	size_t pages = 0;
	lock_token token = lock_acquire(&pc->lock);

	*bare = false;
	CHECK(mutex_is_held(&pc->alloc_mutex));
	CHECK_VALUES(c->state == CHUNK_TO_DEPOPULATE, chunk, c->state);
	for (unsigned round = 0;; round++) {
		uint64_t empty = c->populated & c->free, gone;
		bool pressure = !all && pc->empty_pages < EMPTY_HIGH && empty != 0;

		if (empty == 0 || pressure || round == ROUNDS_MAX) {
			*bare = all && c->objects_nr == 0 && empty == 0;
			if (!*bare)
				settle_locked(pc, chunk, empty != 0);
			break;
		}
		percpu_unlock(pc, token);
		gone = depopulate_round(pc, chunk, empty);
		token = lock_acquire(&pc->lock);
		account_locked(pc, chunk, gone);
		pages += bits_count(gone);
		if (gone == 0)
			round = ROUNDS_MAX - 1;
	}
	percpu_unlock(pc, token);
	if (pages != 0)
		page_uncharge(pc->q, pages * pc->units);
	return pages;
}
