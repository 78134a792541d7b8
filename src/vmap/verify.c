/* SPDX-License-Identifier: MIT */
/*
 * vmap/verify.c - the invariants of a quiesced instance's areas
 *
 *   V1  ranges partition the span: no gap, no overlap, each has a place that its state names
 *   V2  the trees: order, colours, the largest of each subtree, no free neighbours unmerged
 *   V4  lazy_pages is what the lazy list holds
 *   V6  the map names the range that begins at a page, and none elsewhere
 *   V7  a block's pages are not handed out, in use or dirty; its maps say so; it is on its CPU's
 *       list as long as it has room
 *   V8  nobody commits sections, as many are ready as are counted, and advice that is not counted
 *       is noted
 *   V9  the sum of backed pages is what was charged
 *
 * It cannot prove that a busy range is really in use, nor that a free range has no memory (V5: the
 * simulator checks that).
 */
#include "vmap/verify.h"

#include <quire/vmap.h>

#include "base/check.h"
#include "huge/huge.h"
#include "instance/instance.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "pool/pool.h"
#include "vmap/claim.h"
#include "vmap/class.h"
#include "vmap/commit.h"
#include "vmap/cpu.h"
#include "vmap/heads.h"
#include "vmap/layout.h"
#include "vmap/ram.h"
#include "vmap/range.h"
#include "vmap/tree.h"
#include "vmap/vmap.h"

struct sums {
	uint64_t backed, lazy, cached, cached_nr;
};

/* In a child of fork, a range that another thread was freeing may have no class, and one that it was purging is lost. */
static bool state_is_placed(const struct vmap *v, const struct range *r)
{
	switch (range_state(r)) {
	case RANGE_BUSY:
		return r->usable <= r->pages && r->backed <= r->pages;
	case RANGE_CACHED:
		return v->q->forked ||
		       (r->class < CLASSES_NR && r->usable <= class_pages(r->class) &&
			class_pages(r->class) + v->guard_pages <= r->pages);
	case RANGE_LAZY:
	case RANGE_POOLED:
		return r->backed <= r->pages && r->usable <= r->pages;
	case RANGE_PURGED:
		return v->q->forked && v->policy == QUIRE_PURGE_COUNTER;
	default:
		return false;
	}
}

static void add_range(const struct range *r, struct sums *sums)
{
	sums->backed += r->backed;
	sums->lazy += range_state(r) == RANGE_LAZY ? r->usable : 0;
	sums->cached += range_state(r) == RANGE_CACHED ? class_pages(r->class) : 0;
	sums->cached_nr += range_state(r) == RANGE_CACHED;
}

/* Heads and free ranges, by rising address: V1, V6. */
static int check_partition_locked(struct vmap *v, struct sums *sums)
{
	uint32_t free = tree_first(v, &v->free), page = 0;

	CHECK(lock_is_held(&v->lock));
	while (page < v->span_pages) {
		uint32_t head = heads_next_locked(v, page);

		if (free != RANGE_NONE && range_at(v, free)->start == page && head != page) {
			if (range_state(range_at(v, free)) != RANGE_FREE)
				return 1;
			page = range_end(range_at(v, free));
			free = tree_next(v, free);
			continue;
		}
		if (head != page)
			return 1;
		if (v->map[page] == 0 || range_at(v, v->map[page])->start != page)
			return 6;
		if (!state_is_placed(v, range_at(v, v->map[page])))
			return 1;
		add_range(range_at(v, v->map[page]), sums);
		page = range_end(range_at(v, v->map[page]));
	}
	return page == v->span_pages && free == RANGE_NONE ? 0 : 1;
}

static int check_lazy(struct vmap *v, const struct sums *sums)
{
	uint32_t lists[] = { load_acquire(&v->lazy), load_acquire(&v->lazy_frames) };
	uint64_t pages = 0, areas = 0;

	for (unsigned list = 0; list < 2; list++) {
		for (uint32_t i = lists[list]; i != RANGE_NONE; i = range_at(v, i)->next) {
			if (range_state(range_at(v, i)) != RANGE_LAZY || areas++ > v->span_pages ||
			    (range_at(v, i)->kind == QUIRE_VMAP_ALLOC) != (list == 0))
				return 4;
			pages += range_at(v, i)->usable;
		}
	}
	/* A child of fork may have lost some, marked but not yet published. */
	return (v->q->forked || pages == sums->lazy) && pages == load_relaxed(&v->lazy_pages) &&
			       areas == load_relaxed(&v->lazy_areas)
		       ? 0
		       : 4;
}

static int check_pooled_locked(struct vmap *v)
{
	uint32_t nr = 0;

	CHECK(lock_is_held(&v->lock));
	for (uint32_t i = v->oldest; i != RANGE_NONE; i = range_at(v, i)->age.newer) {
		if (range_state(range_at(v, i)) != RANGE_POOLED || nr++ > v->pooled.nr)
			return 2;
	}
	return nr == v->pooled.nr ? 0 : 2;
}

static int check_cpus(struct vmap *v, const struct sums *sums)
{
	uint64_t pages = 0, areas = 0;

	for (unsigned slot = 0; slot < v->stacks.cpu.all_slots_nr; slot++)
		pages += cpu_pages(v, slot, &areas);
	/* A child of fork may have lost some. */
	return v->q->forked || (pages == sums->cached && areas == sums->cached_nr) ? 0 : 1;
}

/* The note alone is no fault: the section may have lost its advice since, and a child of fork sets
 * the note as a precaution. */
static bool uncounted_is_noted(const struct vmap *v)
{
	if (load_relaxed(&v->uncounted))
		return true;
	for (uint32_t i = 0; i < v->span_pages >> section_page_shift(v); i++)
		if (huge_kind(&v->advice, i) == HUGE_UNCOUNTED)
			return false;
	return true;
}

int vmap_verify(struct quire_module *module)
{
	struct vmap *v = vmap_of(module);
	struct sums sums = { .backed = 0 };
	lock_token token;
	int label;

	/* The worker is not one of the caller's threads, so keep it out. */
	mutex_acquire(&v->purge_mutex);
	token = lock_acquire(&v->lock);
	label = tree_verify(v, &v->free);
	if (label == 0)
		label = tree_verify(v, &v->pooled);
	if (label == 0)
		label = check_pooled_locked(v);
	if (label == 0)
		label = check_partition_locked(v, &sums);
	if (label == 0)
		label = check_lazy(v, &sums);
	if (label == 0)
		label = check_cpus(v, &sums);
	if (label == 0 && (!claim_verify_locked(v) || !uncounted_is_noted(v)))
		label = 8;
	if (label == 0 && sums.backed != v->charged_pages)
		label = 9;
	lock_release(&v->lock, token);
	if (label == 0 && pool_verify(&v->pool) != 0)
		label = 10;
	if (label == 0)
		label = ram_verify(v);
	mutex_release(&v->purge_mutex);
	return label != 0 ? 200 + label : 0;
}
