/* SPDX-License-Identifier: MIT */
/*
 * vmap/lazy.c - the lock-free list of freed ranges
 *
 * Any thread may publish, also in a signal handler: it counts first, publishes last, and does not
 * touch the range afterwards (R15, R16).  Links are in the records, never in freed memory (R22).
 * A push needs only that `next` is the head at its compare-and-swap, so it does not matter that the
 * head may have left the list and come back (ABA).  lazy_pop() also needs the head's `next` to be
 * the same: only the holder of purge_mutex takes ranges off, so no range leaves and comes back meanwhile.
 *
 * Fork.  A push needs no lock, so it may come while the kernel copies pages one after the other, and a child could have the
 * head of after it and the record of before.  So the child has the lists of when the fork began.  Their ranges stay
 * as they are linked until the fork is over: others lack purge_mutex, and calls of the forking thread, to which the fork
 * lends it, find both lists empty.  In the child such a call, of a handler that runs before ours, would read a torn list.
 * With purge:counter another purge, which needs no mutex, may still take the list off; before it touches a range it takes the
 * lock, which the fork has.
 *
 * lazy_pages counts the pages on the list, and those taken off it that are not yet free or pooled
 * (V4).  It may be too large for a moment, but never too small.
 */
#include "vmap/lazy.h"

#include <quire/vmap.h>

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/usdt.h"
#include "vmap/layout.h"
#include "vmap/range.h"
#include "vmap/vmap.h"

static void push(struct vmap *v, uint32_t *list, uint32_t first, uint32_t last)
{
	/* Pairs with lazy_splice() and lazy_pop(). */
	uint32_t head = load_relaxed(list);

	do
		range_at(v, last)->next = head;
	while (!cas_release(list, &head, first));
}

/* Mappings of frames have a list of their own: their memory is not returned, they are unmapped, and
 * they are never rescued. */
static uint32_t *list_of(struct vmap *v, uint32_t index)
{
	return range_at(v, index)->kind == QUIRE_VMAP_ALLOC ? &v->lazy : &v->lazy_frames;
}

/* @chain: ranges linked by `next`, of which the last has RANGE_NONE there; not empty.  All are
 * areas, or it is one mapping of frames. */
void lazy_publish_chain(struct vmap *v, uint32_t chain)
{
	uint64_t pages = 0, areas = 0;
	uint32_t last = chain;

	for (uint32_t i = chain; i != RANGE_NONE; i = range_at(v, i)->next) {
		range_set_state(range_at(v, i), RANGE_LAZY);
		pages += range_at(v, i)->usable;
		areas++;
		last = i;
		USDT(free_vmap_area_noflush, (uintptr_t)range_addr(v, range_at(v, i)),
		     load_relaxed(&v->lazy_pages) + pages, load_relaxed(&v->lazy_max_pages));
	}
	fetch_add_relaxed(&v->lazy_areas, areas);
	fetch_add_relaxed(&v->lazy_pages, pages); /* ordered by the release in push() */
	push(v, list_of(v, chain), chain, last);
}

static uint32_t splice(struct vmap *v, uint32_t *list)
{
	if (load_relaxed(&v->forking)) /* of another's fork a hint: the next look takes the list */
		return RANGE_NONE;
	return exchange_acquire(list, RANGE_NONE); /* pairs with the release in push() */
}

uint32_t lazy_splice(struct vmap *v)
{
	return splice(v, &v->lazy);
}

uint32_t lazy_splice_frames(struct vmap *v)
{
	return splice(v, &v->lazy_frames);
}

void lazy_put_back(struct vmap *v, uint32_t index)
{
	range_set_state(range_at(v, index), RANGE_LAZY);
	push(v, list_of(v, index), index, index);
}

uint32_t lazy_pop(struct vmap *v, unsigned most)
{
	uint32_t chain = RANGE_NONE, head;

	CHECK(mutex_is_held(&v->purge_mutex));
	if (load_relaxed(&v->forking)) /* as above */
		return RANGE_NONE;
	while (most != 0) {
		head = load_acquire(&v->lazy); /* pairs with the release in push() */
		if (head == RANGE_NONE)
			break;
		/* Orders nothing: only pushes may come between, and each needs the head alone. */
		if (!cas_relaxed(&v->lazy, &head, range_at(v, head)->next))
			continue;
		range_at(v, head)->next = chain;
		chain = head;
		most--;
	}
	return chain;
}

static uint64_t list_pages(struct vmap *v, uint32_t i, uint64_t *areas)
{
	uint64_t pages = 0;

	for (; i != RANGE_NONE; i = range_at(v, i)->next) {
		pages += range_at(v, i)->usable;
		(*areas)++;
	}
	return pages;
}

void lazy_fork_prepare(struct vmap *v)
{
	CHECK(mutex_is_held(&v->purge_mutex));
	/* The records are read in the child alone, after the system's fork. */
	v->fork_lazy = load_relaxed(&v->lazy);
	v->fork_lazy_frames = load_relaxed(&v->lazy_frames);
}

/* What was pushed since is lost, as what other threads had not yet pushed. */
static void restore(struct vmap *v)
{
	uint64_t areas = 0;
	uint64_t pages =
		list_pages(v, v->fork_lazy, &areas) + list_pages(v, v->fork_lazy_frames, &areas);

	store_relaxed(&v->lazy, v->fork_lazy); /* nobody else runs; so below */
	store_relaxed(&v->lazy_frames, v->fork_lazy_frames);
	store_relaxed(&v->lazy_pages, pages);
	store_relaxed(&v->lazy_areas, areas);
}

void lazy_fork_done(struct vmap *v, bool child)
{
	CHECK(mutex_is_held(&v->purge_mutex));
	if (child)
		restore(v);
}

void lazy_uncount(struct vmap *v, uint64_t pages, uint64_t areas)
{
	uint64_t before = fetch_sub_relaxed(&v->lazy_pages, pages);

	fetch_sub_relaxed(&v->lazy_areas, areas);
	CHECK_VALUES(before >= pages, before, pages);
}
