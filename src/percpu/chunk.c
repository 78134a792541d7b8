/* SPDX-License-Identifier: MIT */
/*
 * percpu/chunk.c - the life of a per-CPU chunk
 *
 * A chunk is a stretch of addresses repeated once per CPU.  An allocation takes the same offset in
 * every copy, so one small integer names one object per CPU.  This file owns a chunk from creation
 * to destruction: which list it is on, and when that changes.  Finding room is packed.c and
 * linux.c; populating is populate.c; when to grow or shrink is balance.c.
 *
 * Life.  A chunk is on exactly one list, and that list is its state (P12).  The rows have their
 * tests in tests/unit/percpu/percpu_chunk_test.c, the one about age in percpu_alloc_test.c.
 *
 *   from           when                                       to             under
 *   -              no chunk has room for an object            FREE           lock
 *   FREE           an object is put into it                   ACTIVE         lock
 *   ACTIVE         its last object is freed                   FREE           lock
 *   ACTIVE         a free leaves a quarter of it empty, and   TO_DEPOPULATE  lock
 *                  the others hold more than EMPTY_HIGH
 *   ACTIVE, FREE   its empty pages are older than the decay   TO_DEPOPULATE  both
 *                  time, and the others hold EMPTY_HIGH
 *   FREE           another chunk is FREE: to be destroyed     TO_DEPOPULATE  both
 *   SIDELINED      an object is put into it                   ACTIVE         lock
 *   SIDELINED      a free leaves it an empty page             TO_DEPOPULATE  lock
 *   TO_DEPOPULATE  its empty pages are gone, objects remain   SIDELINED      both
 *   TO_DEPOPULATE  empty pages run low, the system refused,   ACTIVE, FREE   both
 *                  or it has no object
 *   TO_DEPOPULATE  it is to be destroyed, and has no          destroyed      both
 *                  populated page left
 *
 * ACTIVE is an array of lists by largest hole.  A search for room visits ACTIVE chunks, then
 * SIDELINED ones, whose next object may need pages that were just returned, then FREE ones.  It
 * never visits TO_DEPOPULATE, so the lock may be dropped while the chunk's pages are returned
 * (populate.c).  The first chunk never leaves ACTIVE.
 *
 * A chunk is isolated from when it becomes TO_DEPOPULATE until it is ACTIVE or FREE again.
 * During that time empty_pages does not include its empty pages (P10), so the reserve for callers
 * that may not wait counts only pages that they can use.
 */
#include "percpu/chunk.h"
#include "percpu/balance.h"
#include "percpu/index.h"
#include "percpu/place.h"
#include "percpu/populate.h"

#include "machine/usdt.h"

uint32_t chunk_empty(const struct percpu_chunk *chunk)
{
	return bits_count(chunk->populated & chunk->free);
}

/* ---- lists ---- */

static void list_take(struct percpu *pc, uint32_t chunk)
{
	struct percpu_chunk *c = &pc->chunk[chunk];
	struct chunk_list *list = &pc->list[c->list];

	if (c->prev != NONE)
		pc->chunk[c->prev].next = c->next;
	else
		list->head = c->next;
	if (c->next != NONE)
		pc->chunk[c->next].prev = c->prev;
	else
		list->tail = c->prev;
	list->nr--;
}

static void list_put(struct percpu *pc, uint32_t chunk, uint32_t to, bool at_tail)
{
	struct percpu_chunk *c = &pc->chunk[chunk];
	struct chunk_list *list = &pc->list[to];

	c->list = (uint8_t)to;
	c->prev = at_tail ? list->tail : NONE;
	c->next = at_tail ? NONE : list->head;
	if (c->prev != NONE)
		pc->chunk[c->prev].next = chunk;
	else
		list->head = chunk;
	if (c->next != NONE)
		pc->chunk[c->next].prev = chunk;
	else
		list->tail = chunk;
	list->nr++;
}

void list_move_locked(struct percpu *pc, uint32_t chunk, uint32_t list, bool at_tail)
{
	DCHECK(lock_is_held(&pc->lock));
	list_take(pc, chunk);
	list_put(pc, chunk, list, at_tail);
}

/* The list that a chunk's state and its largest hole say. */
uint32_t chunk_list_of(const struct percpu_chunk *chunk)
{
	if (chunk->state == CHUNK_SIDELINED)
		return LIST_SIDELINED;
	if (chunk->state == CHUNK_FREE)
		return LIST_FREE;
	if (chunk->state == CHUNK_TO_DEPOPULATE)
		return LIST_TO_DEPOPULATE;
	if (chunk->free_run != 0)
		return LIST_PAGES + bit_highest(chunk->free_run);
	for (uint32_t slot = SLOTS_PAGE_NR; slot-- != 0;)
		if (chunk->by_longest[slot] != 0)
			return slot + 1;
	return 0;
}

/* After its largest hole changed.  If the hole grew, the chunk goes to the head of its new list, so that it is
 * used up first; if the hole shrank, to the tail. */
void chunk_relocate_locked(struct percpu *pc, uint32_t chunk)
{
	struct percpu_chunk *c = &pc->chunk[chunk];
	uint32_t list = chunk_list_of(c);

	DCHECK(lock_is_held(&pc->lock));
	if (list != c->list)
		list_move_locked(pc, chunk, list, list < c->list);
}

/* After a page became free or ceased to be. */
void chunk_update_free_locked(struct percpu *pc, uint32_t chunk)
{
	struct percpu_chunk *c = &pc->chunk[chunk];

	DCHECK(lock_is_held(&pc->lock));
	c->free_run = (uint8_t)bits_run(c->free);
	index_chunk_locked(pc, chunk);
}

/* ---- states ---- */

static void set_state(struct percpu *pc, uint32_t chunk, enum chunk_state state)
{
	pc->chunk[chunk].state = (uint8_t)state;
	index_chunk_locked(pc, chunk);
	chunk_relocate_locked(pc, chunk);
}

/* The chunk's empty pages leave the reserve at this moment, not when they are given back. */
void chunk_isolate_locked(struct percpu *pc, uint32_t chunk)
{
	struct percpu_chunk *c = &pc->chunk[chunk];

	DCHECK(lock_is_held(&pc->lock));
	CHECK(!c->immutable && c->state != CHUNK_NONE);
	if (!c->isolated) {
		store_relaxed(&pc->empty_pages, pc->empty_pages - chunk_empty(c));
		c->isolated = true;
		pc->stat.chunks_isolated++;
	}
	set_state(pc, chunk, CHUNK_TO_DEPOPULATE);
}

void chunk_reintegrate_locked(struct percpu *pc, uint32_t chunk)
{
	struct percpu_chunk *c = &pc->chunk[chunk];

	DCHECK(lock_is_held(&pc->lock));
	if (c->isolated) {
		c->isolated = false;
		store_relaxed(&pc->empty_pages, pc->empty_pages + chunk_empty(c));
		pc->stat.chunks_reintegrated++;
	}
	set_state(pc, chunk, c->objects_nr != 0 ? CHUNK_ACTIVE : CHUNK_FREE);
}

void chunk_sideline_locked(struct percpu *pc, uint32_t chunk)
{
	DCHECK(lock_is_held(&pc->lock));
	CHECK(pc->chunk[chunk].isolated && pc->chunk[chunk].state == CHUNK_TO_DEPOPULATE);
	pc->stat.chunks_sidelined++;
	pc->chunk[chunk].state = CHUNK_SIDELINED;
	index_chunk_locked(pc, chunk);
	list_move_locked(pc, chunk, LIST_SIDELINED, true);
}

void chunk_after_alloc_locked(struct percpu *pc, uint32_t chunk)
{
	struct percpu_chunk *c = &pc->chunk[chunk];

	DCHECK(lock_is_held(&pc->lock));
	if (c->state == CHUNK_SIDELINED || c->state == CHUNK_FREE)
		chunk_reintegrate_locked(pc, chunk);
	else
		chunk_relocate_locked(pc, chunk);
}

/*
 * Should its empty pages be given back?  Not the first chunk's; an isolated chunk's always;
 * another's if they are a quarter of it and the other chunks hold more than the reserve.
 */
static bool should_depopulate(const struct percpu *pc, const struct percpu_chunk *chunk)
{
	uint32_t empty = chunk_empty(chunk);

	if (chunk->immutable || !pc->depopulate || empty == 0)
		return false;
	return chunk->isolated ||
	       (empty >= unit_pages(pc) / 4 && pc->empty_pages > EMPTY_HIGH + empty);
}

/* Changes the chunk's state after a free, if need be.  Returns whether the worker has something to do. */
bool chunk_after_free_locked(struct percpu *pc, uint32_t chunk)
{
	struct percpu_chunk *c = &pc->chunk[chunk];

	DCHECK(lock_is_held(&pc->lock));
	if (c->state == CHUNK_TO_DEPOPULATE)
		return false; /* the worker looks again when it is done with it */
	if (!c->isolated && c->objects_nr == 0 && !c->immutable) {
		if (c->state != CHUNK_FREE)
			set_state(pc, chunk, CHUNK_FREE);
		return pc->list[LIST_FREE].nr > 1;
	}
	if (should_depopulate(pc, c)) {
		chunk_isolate_locked(pc, chunk);
		return true;
	}
	chunk_relocate_locked(pc, chunk);
	return false;
}

/* ---- existence ---- */

/* Lowest number without a chunk. */
uint32_t chunk_next_number_locked(const struct percpu *pc)
{
	uint32_t gone = index_next_locked(pc, (struct sets){ SET_GONE, SET_GONE }, 0);

	DCHECK(lock_is_held(&pc->lock));
	return gone != NONE ? gone : pc->chunks_end;
}

/* Is that still the lowest number without a chunk? */
static bool is_next(struct percpu *pc, uint32_t chunk)
{
	lock_token token = lock_acquire(&pc->lock);
	bool next = chunk_next_number_locked(pc) == chunk;

	percpu_unlock(pc, token);
	return next;
}

static int arrays_ready(struct percpu *pc, uint32_t chunk, unsigned flags)
{
	size_t pages = ((size_t)chunk + 1) << pc->pages_shift;
	int error =
		grown_to(pc, &pc->grown_chunks, (chunk + 1) * sizeof(struct percpu_chunk), flags);

	if (!error)
		error = grown_to(pc, &pc->grown_pages, pages * sizeof(struct percpu_page), flags);
	if (!error)
		error = grown_to(pc, &pc->grown_deferred,
				 ((size_t)chunk + 1) << (pc->unit_shift - 2 - 3), flags);
	if (!error)
		error = grown_to(pc, &pc->grown_index, index_bytes(chunk + 1), flags);
	if (!error && pc->sparse)
		error = grown_to(pc, &pc->grown_written,
				 ((size_t)chunk + 1) * pc->units * sizeof(uint64_t), flags);
	return error ? error : units_ready(pc, chunk);
}

static void chunk_init(struct percpu *pc, uint32_t chunk)
{
	struct percpu_chunk *c = &pc->chunk[chunk];

	memset(c, 0, CHUNK_LOCKED_BYTES);
	c->free = unit_pages(pc) == 64 ? ~(uint64_t)0 : ((uint64_t)1 << unit_pages(pc)) - 1;
	c->free_granules = unit_granules(pc);
	c->free_run = (uint8_t)unit_pages(pc);
	c->state = CHUNK_FREE;
	for (uint32_t i = 0; i < unit_pages(pc); i++)
		pc->page[page_number(pc, chunk, i)] = (struct percpu_page){
			.words = NONE, .free_nr = (uint16_t)page_granules(pc), .kind = KIND_FREE
		};
	list_put(pc, chunk, LIST_FREE, true);
	index_gone_locked(pc, chunk, false);
	index_chunk_locked(pc, chunk);
	pc->chunks_nr++;
	pc->stat.chunks_created++;
	if (pc->chunks_nr > pc->stat.chunks_max)
		pc->stat.chunks_max = pc->chunks_nr;
}

static void set_end_locked(struct percpu *pc, uint32_t chunks)
{
	DCHECK(lock_is_held(&pc->lock));
	/* Relaxed: a free has an object below them from its allocation, which orders; walks of the chunks hold alloc_mutex, or
	 * were told by the chunk's count of deferred frees. */
	store_relaxed(&pc->chunks_end, chunks);
	store_relaxed(&pc->pages_end, chunks << pc->pages_shift); /* read by quire_free_percpu() */
}

/*
 * Makes a FREE chunk without populated pages, unless another caller has made one since this one found
 * the number to be next.  Several callers may make the arrays and addresses that it needs at once
 * (space.c); one of them makes the chunk.  0; -ENOSPC or -ENOMEM: then nothing has changed.
 */
int chunk_create(struct percpu *pc, uint32_t chunk, unsigned flags)
{
	lock_token token;
	int error;

	if (chunk >= pc->chunks_max)
		return -ENOSPC;
	if (!is_next(pc, chunk))
		return 0;
	error = arrays_ready(pc, chunk, flags);
	if (error)
		return error;
	token = lock_acquire(&pc->lock);
	if (chunk_next_number_locked(pc) == chunk) {
		chunk_init(pc, chunk);
		if (chunk == pc->chunks_end)
			set_end_locked(pc, chunk + 1);
		USDT(percpu_create_chunk, (uintptr_t)chunk_ptr(pc, chunk));
	}
	percpu_unlock(pc, token);
	return 0;
}

/* The chunk is TO_DEPOPULATE, so no search finds it, and has neither objects nor populated pages. */
void chunk_destroy(struct percpu *pc, uint32_t chunk)
{
	struct percpu_chunk *c = &pc->chunk[chunk];
	lock_token token = lock_acquire(&pc->lock);

	CHECK(mutex_is_held(&pc->alloc_mutex));
	CHECK_VALUES(c->state == CHUNK_TO_DEPOPULATE && c->objects_nr == 0 && c->populated == 0,
		     chunk, c->state);
	list_take(pc, chunk);
	c->state = CHUNK_NONE;
	c->free = 0;
	index_chunk_locked(pc, chunk);
	index_gone_locked(pc, chunk, true);
	pc->chunks_nr--;
	pc->stat.chunks_destroyed++;
	while (pc->chunk[pc->chunks_end - 1].state == CHUNK_NONE) { /* the first one stays */
		index_gone_locked(pc, pc->chunks_end - 1, false);
		set_end_locked(pc, pc->chunks_end - 1);
	}
	USDT(percpu_destroy_chunk, (uintptr_t)chunk_ptr(pc, chunk));
	percpu_unlock(pc, token);
}

/* Makes chunk 0, just created, the first: its areas are populated and never change; no room behind. */
void chunk_first(struct percpu *pc, uint32_t populated_nr)
{
	uint32_t static_nr = ((STATIC_BYTES - 1) >> pc->page_shift) + 1;
	uint32_t reserved_nr = ((RESERVED_BYTES - 1) >> pc->page_shift) + 1;
	struct percpu_chunk *c = &pc->chunk[0];
	lock_token token = lock_acquire(&pc->lock);

	CHECK(pc->chunks_nr == 1);
	c->immutable = true;
	for (uint32_t i = 0; i < unit_pages(pc); i++) {
		uint8_t kind = i < static_nr		     ? KIND_STATIC
			       : i < static_nr + reserved_nr ? KIND_RESERVED
			       : i < populated_nr	     ? KIND_FREE
							     : KIND_CLOSED;

		pc->page[i].kind = kind;
		if (kind != KIND_FREE)
			c->free &= ~((uint64_t)1 << i);
	}
	populate_locked(pc, 0, (uint64_t)2 * ((uint64_t)1 << (populated_nr - 1)) - 1);
	c->free_granules = page_granule(pc, populated_nr);
	c->state = CHUNK_ACTIVE;
	chunk_update_free_locked(pc, 0);
	chunk_relocate_locked(pc, 0);
	percpu_unlock(pc, token);
}
