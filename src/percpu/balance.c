/* SPDX-License-Identifier: MIT */
/*
 * percpu/balance.c - when per-CPU memory grows ahead of need and when it is returned
 *
 * The worker runs when a free isolated a chunk or left a second chunk free, when fewer than
 * EMPTY_LOW empty pages are left for callers that may not wait, when one of those was refused, when
 * a signal handler deferred a free, and after the decay time while something is cached or empty
 * beyond the reserve.  Under alloc_mutex it isolates chunks whose empty pages are old.  If any
 * chunk is isolated, it empties every CPU's stacks, so that no cached object pins a page.  Then:
 *
 *   1. All free chunks except one lose their pages and are destroyed.
 *   2. Isolated chunks lose their empty pages.
 *   3. Empty pages are populated up to EMPTY_HIGH; after a refusal EMPTY_HIGH more.
 *   4. Step 1 again: step 2 may have freed chunks.
 *
 * With all (quire_percpu_shrink(), a request by another module) only the first chunk is kept.
 *
 * A request by another module only tries the mutex: the caller may be populating (R29).
 */
#include "percpu/balance.h"
#include "percpu/alloc.h"
#include "percpu/index.h"
#include "percpu/grow.h"
#include "percpu/populate.h"

/* Minimum between two visits that are due at once.  A gather costs 10 us if other CPUs are busy, so
 * even one per visit takes 1 % of the time. */
#define PAUSE_NS 1000000u

static uint32_t list_head(struct percpu *pc, uint32_t list, uint32_t skip)
{
	lock_token token = lock_acquire(&pc->lock);
	uint32_t chunk = pc->list[list].head;

	while (skip-- != 0 && chunk != NONE)
		chunk = pc->chunk[chunk].next;
	percpu_unlock(pc, token);
	return chunk;
}

/* Steps 1 and 4.  Isolates the chunk first, so that no search for room finds it. */
static size_t destroy_free(struct percpu *pc, uint32_t keep)
{
	size_t pages = 0;
	bool bare;

	for (;;) {
		lock_token token = lock_acquire(&pc->lock);
		uint32_t chunk = pc->list[LIST_FREE].nr > keep ? pc->list[LIST_FREE].tail : NONE;

		if (chunk != NONE)
			chunk_isolate_locked(pc, chunk);
		percpu_unlock(pc, token);
		if (chunk == NONE)
			return pages;
		pages += depopulate(pc, chunk, true, &bare);
		if (!bare)
			return pages; /* the system refused: the chunk stays FREE and populated */
		chunk_destroy(pc, chunk);
	}
}

/* Step 2. */
static size_t depopulate_isolated(struct percpu *pc, bool all)
{
	size_t pages = 0;
	bool bare;

	for (;;) {
		uint32_t chunk = list_head(pc, LIST_TO_DEPOPULATE, 0);

		if (chunk == NONE)
			return pages;
		pages += depopulate(pc, chunk, all, &bare);
		if (bare)
			chunk_destroy(pc, chunk);
	}
}

/* A chunk that is gone has no empty page; one that is TO_DEPOPULATE already stays so. */
static bool has_old_empties(const struct percpu *pc, const struct percpu_chunk *chunk,
			    uint64_t before_ns)
{
	return !chunk->immutable && chunk->emptied_ns <= before_ns &&
	       (chunk->populated & chunk->free) != 0 && pc->depopulate;
}

/* Isolates every chunk whose pages have been empty since before @before_ns, but keeps the
 * reserve. */
static void isolate_old(struct percpu *pc, uint64_t before_ns, bool all)
{
	CHECK(mutex_is_held(&pc->alloc_mutex)); /* no chunk goes meanwhile */
	for (uint32_t i = 0; i < load_relaxed(&pc->chunks_end); i++) {
		lock_token token = lock_acquire(&pc->lock);
		const struct percpu_chunk *chunk = &pc->chunk[i];

		if (has_old_empties(pc, chunk, before_ns) &&
		    (all || pc->empty_pages >= EMPTY_HIGH + chunk_empty(chunk)))
			chunk_isolate_locked(pc, i);
		percpu_unlock(pc, token);
	}
}

/* Populates one page for the reserve.  Returns 0, -EAGAIN if something must be created first
 * (grow_want_locked()), or the charge's error.  *@missing is 0 if no chunk has room for the
 * page. */
static int populate_one_locked(struct percpu *pc, uint32_t *missing)
{
	uint32_t chunk;
	uint64_t pages;

	DCHECK(lock_is_held(&pc->lock));
	/* Not in an isolated chunk: its pages would not count, and be returned soon. */
	chunk = index_next_locked(pc, sets_of_runs(CHUNK_ACTIVE, FREE_UNPOPULATED, 0), 0);
	if (chunk == NONE)
		chunk = index_next_locked(pc, sets_of_runs(CHUNK_FREE, FREE_UNPOPULATED, 0), 0);
	*missing = chunk != NONE;
	if (chunk == NONE)
		return -EAGAIN;
	pages = chunk_pages(&pc->chunk[chunk], FREE_UNPOPULATED);
	return populate_try_locked(pc, chunk, pages & (0 - pages), 0, 0);
}

/* Step 3. */
static void fill_reserve(struct percpu *pc)
{
	lock_token token = lock_acquire(&pc->lock);
	uint32_t target = EMPTY_HIGH + (pc->atomic_failed ? EMPTY_HIGH : 0);

	pc->atomic_failed = false;
	while (pc->empty_pages < target) {
		uint32_t missing;
		int error = populate_one_locked(pc, &missing);
		struct want want = grow_want_locked(pc, missing);

		percpu_unlock(pc, token);
		if (error == -EAGAIN)
			error = grow_make_held(pc, &want);
		if (error)
			return;
		token = lock_acquire(&pc->lock);
	}
	percpu_unlock(pc, token);
}

/* Returns the number of page offsets given back. */
size_t balance(struct percpu *pc, bool all)
{
	uint32_t keep = all ? 0 : 1;
	size_t pages;

	CHECK(mutex_is_held(&pc->alloc_mutex));
	percpu_take_deferred(pc);
	if (all || list_head(pc, LIST_TO_DEPOPULATE, 0) != NONE)
		cache_drain(pc, false);
	if (all)
		isolate_old(pc, UINT64_MAX, true);
	pages = destroy_free(pc, keep);
	pages += depopulate_isolated(pc, all);
	if (!all)
		fill_reserve(pc);
	pages += destroy_free(pc, keep);
	maps_trim(pc, all);
	return pages;
}

static bool is_anything_left(struct percpu *pc)
{
	if (cache_is_open(pc))
		return true;
	/* Chunks appear without alloc_mutex.  A free that empties a page, or is deferred, wakes the worker. */
	for (uint32_t i = 0; i < load_relaxed(&pc->chunks_end); i++) {
		lock_token token = lock_acquire(&pc->lock);
		bool left = has_old_empties(pc, &pc->chunk[i], UINT64_MAX) &&
			    pc->empty_pages >= EMPTY_HIGH + chunk_empty(&pc->chunk[i]);

		percpu_unlock(pc, token);
		if (left)
			return true;
	}
	return false;
}

static struct percpu *module_percpu(struct quire_module *module)
{
	return (struct percpu *)(void *)((char *)module - offsetof(struct percpu, module));
}

uint64_t balance_tick(struct quire_module *module, uint64_t now_ns)
{
	struct percpu *pc = module_percpu(module);
	uint64_t decay_ns = pc->q->decay_base_ns, due_ns;
	uint64_t before_ns = now_ns > decay_ns ? now_ns - decay_ns : 0;
	bool decayed = now_ns >= pc->decayed_ns + decay_ns;
	lock_token token;

	mutex_acquire(&pc->alloc_mutex);
	token = lock_acquire(&pc->lock);
	pc->tick_ns = now_ns;
	percpu_unlock(pc, token);
	/* Before this visit examines anything, so that a later kick counts.  Of this visit's exchange in
	 * percpu_take_deferred() and that in announce() one comes first: either this visit finds the deferred free, or
	 * the deferring call finds no visit due. */
	store_relaxed(&pc->due_ns, WORK_IDLE);
	fence_seq_cst(); /* whether a stack is open is read without a lock: pairs with keep_more_locked()'s */
	if (decayed) {
		pc->decayed_ns = now_ns;
		cache_drain(pc, true);
		isolate_old(pc, before_ns, false);
	}
	balance(pc, false);
	store_relaxed(&pc->balanced_ns, now_ns); /* read by balance_kick(): a hint */
	due_ns = is_anything_left(pc) ? now_ns + decay_ns : WORK_IDLE;
	if (load_relaxed(&pc->due_ns) > due_ns)
		store_relaxed(&pc->due_ns, due_ns);
	due_ns = load_relaxed(&pc->due_ns);
	mutex_release(&pc->alloc_mutex);
	return due_ns;
}

/* Makes a visit of the worker due.  Legal anywhere. */
void balance_kick(struct percpu *pc, uint64_t due_ns)
{
	if (due_ns == 0) /* soon: pages emptied by a burst of frees go in few gathers */
		due_ns = load_relaxed(&pc->balanced_ns) + PAUSE_NS;
	/* A hint, as the worker's own due time: pairs with balance_tick(). */
	if (load_relaxed(&pc->due_ns) <= due_ns)
		return;
	store_relaxed(&pc->due_ns, due_ns);
	worker_kick(pc->q, due_ns);
}

void balance_kick_later(struct percpu *pc)
{
	/* A hint: saves the clock. */
	if (load_relaxed(&pc->due_ns) == WORK_IDLE)
		balance_kick(pc, clock_now_ns() + pc->q->decay_base_ns);
}

/* Callers that may not wait cannot start the thread on which their reserve depends, so it is there before they
 * need it: from the first page beyond the reserve, and from the first refusal on.  Hints. */
static bool is_worker_wanted(struct percpu *pc)
{
	return load_relaxed(&pc->empty_pages) < EMPTY_LOW ||
	       load_relaxed(&pc->atomic_refusals) != 0 || page_is_worth_a_worker(pc->q, 0);
}

void balance_ensure_worker(struct percpu *pc, unsigned flags)
{
	if (is_worker_wanted(pc))
		worker_ensure(pc->q, flags);
}

void balance_ensure_worker_freed(struct percpu *pc)
{
	if (is_worker_wanted(pc))
		worker_ensure_freed(pc->q);
}

/* The first objects of an instance: what was committed for them has room for the reserve, too. */
static void fill_from_committed(struct percpu *pc)
{
	lock_token token = lock_acquire(&pc->lock);
	uint32_t missing;

	while (pc->empty_pages < EMPTY_HIGH && populate_one_locked(pc, &missing) == 0)
		;
	percpu_unlock(pc, token);
}

void balance_reserve_low(struct percpu *pc, bool may_wait)
{
	if (may_wait && pc->q->work.mode == WORK_THREAD && !lock_nested() &&
	    !page_is_worth_a_worker(pc->q, 0))
		fill_from_committed(pc);
	if (load_relaxed(&pc->empty_pages) <
	    EMPTY_LOW) /* a hint: the worker looks under the lock */
		balance_kick(pc, 0);
}

static size_t shrink(struct percpu *pc)
{
	return balance(pc, true) * pc->units << pc->page_shift;
}

size_t balance_shrink(struct quire_module *module)
{
	struct percpu *pc = module_percpu(module);
	size_t bytes;

	if (!mutex_try(&pc->alloc_mutex))
		return 0;
	bytes = shrink(pc);
	mutex_release(&pc->alloc_mutex);
	return bytes;
}

/* As balance_shrink(), but waits for alloc_mutex: the caller holds no lock. */
size_t balance_all(struct percpu *pc)
{
	size_t bytes;

	mutex_acquire(&pc->alloc_mutex);
	bytes = shrink(pc);
	mutex_release(&pc->alloc_mutex);
	return bytes;
}

size_t quire_percpu_shrink(struct quire *q)
{
	struct percpu *pc = percpu_if_any(q);

	if (pc == NULL)
		return 0;
	variables_collect(pc);
	return balance_all(pc);
}
