/* SPDX-License-Identifier: MIT */
/*
 * vmap/space.c - taking ranges of addresses and returning them
 *
 * Two trees hold unused ranges: `free`, addresses without memory, and `pooled`, freed areas that
 * still have their memory, merged with their neighbours.  An allocation prefers a pooled range;
 * with a free range it also takes the pooled range directly below, since those pages need no
 * fault.  The part that is cut off returns to the tree it came from.
 *
 * Charging.  A range's `backed` pages count against the instance's limit; their sum equals the
 * charge (V9).  A piece of a pooled range takes along as many of them as it has usable pages, and
 * pages that are missing are charged.  The charge is tried under the lock (it takes a zone's lock
 * and nothing longer), so addresses and memory are taken together or not at all, and no
 * allocation fails because another one briefly held one of the two.
 */
#include "vmap/space.h"

#include <quire/quire.h>

#include "base/check.h"
#include "base/errno.h"
#include "machine/atomic.h"
#include "page/charge.h"
#include "vmap/claim.h"
#include "vmap/class.h"
#include "vmap/heads.h"
#include "vmap/layout.h"
#include "vmap/meta.h"
#include "vmap/range.h"
#include "vmap/records.h"
#include "vmap/request.h"
#include "vmap/tree.h"
#include "vmap/vmap.h"

/* Makes a record for a part of the range @like. */
static uint32_t make_like(struct vmap *v, const struct range *like, uint32_t start, uint32_t pages)
{
	uint32_t index = space_record_locked(v);
	struct range *r = range_at(v, index);

	*r = (struct range){ .start = start,
			     .pages = pages,
			     .flags = like->flags & (RANGE_GUARDED | RANGE_DIRTY),
			     .class = CLASS_NONE,
			     .kind = like->kind,
			     .stamp_ms = like->stamp_ms,
			     .usable = pages };
	range_set_state(r, range_state(like));
	return index;
}

/* ---- pooled ranges ---- */

static void age_take(struct vmap *v, struct range *r)
{
	if (r->age.older != RANGE_NONE)
		range_at(v, r->age.older)->age.newer = r->age.newer;
	else
		v->oldest = r->age.newer;
	if (r->age.newer != RANGE_NONE)
		range_at(v, r->age.newer)->age.older = r->age.older;
	else
		v->newest = r->age.older;
}

static void age_put(struct vmap *v, uint32_t index, uint32_t stamp_ms)
{
	struct range *r = range_at(v, index);

	r->stamp_ms = stamp_ms;
	r->age.older = v->newest;
	r->age.newer = RANGE_NONE;
	if (v->newest != RANGE_NONE)
		range_at(v, v->newest)->age.newer = index;
	else
		v->oldest = index;
	v->newest = index;
}

/* Adds @from's counts to @r, and notes that guards may be inside. */
static void absorb(struct range *r, const struct range *from)
{
	r->backed += from->backed;
	r->usable += from->usable;
	r->flags |= from->flags & (RANGE_GUARDED | RANGE_DIRTY);
	if ((r->flags | from->flags) & RANGE_GUARD)
		r->flags = (uint8_t)((r->flags & ~RANGE_GUARD) | RANGE_GUARDED);
	r->class = CLASS_NONE;
}

void space_pool_locked(struct vmap *v, uint32_t index, uint32_t stamp_ms)
{
	struct range *r = range_at(v, index);
	uint32_t before = tree_floor_locked(v, &v->pooled, r->start);
	uint32_t behind = tree_floor_locked(v, &v->pooled, range_end(r));

	CHECK(lock_is_held(&v->lock));
	range_set_state(r, RANGE_POOLED);
	if (behind != RANGE_NONE && range_at(v, behind)->start == range_end(r)) {
		age_take(v, range_at(v, behind));
		tree_take_locked(v, &v->pooled, behind);
		space_join_locked(v, index, behind);
	}
	if (before != RANGE_NONE && range_end(range_at(v, before)) == r->start) {
		struct range *b = range_at(v, before);

		heads_clear_locked(v, r->start);
		tree_resize_locked(v, &v->pooled, before, b->start, b->pages + r->pages);
		absorb(b, r);
		age_take(v, b);
		age_put(v, before, stamp_ms);
		space_retire_locked(v, index);
		return;
	}
	tree_put_locked(v, &v->pooled, index);
	age_put(v, index, stamp_ms);
}

void space_unpool_locked(struct vmap *v, uint32_t index)
{
	struct range *r = range_at(v, index);

	CHECK(lock_is_held(&v->lock));
	CHECK_VALUES(range_state(r) == RANGE_POOLED, r->start, range_state(r));
	tree_take_locked(v, &v->pooled, index);
	age_take(v, r);
}

void space_join_locked(struct vmap *v, uint32_t index, uint32_t behind)
{
	struct range *r = range_at(v, index), *b = range_at(v, behind);

	CHECK(lock_is_held(&v->lock));
	CHECK_VALUES(b->start == range_end(r), b->start, range_end(r));
	heads_clear_locked(v, b->start);
	r->pages += b->pages;
	absorb(r, b);
	space_retire_locked(v, behind);
}

/* Cuts a range after @pages.  The rest gets the charge that exceeds the pages of the first part.  What is usable of each
 * part is the caller's to say. */
uint32_t space_cut_locked(struct vmap *v, uint32_t index, uint32_t pages)
{
	struct range *r = range_at(v, index), *rest;
	uint32_t rest_index = make_like(v, r, r->start + pages, r->pages - pages);

	CHECK(lock_is_held(&v->lock));
	rest = range_at(v, rest_index);
	if (r->flags & RANGE_GUARD) {
		r->flags = (uint8_t)((r->flags & ~RANGE_GUARD) | RANGE_GUARDED);
		rest->flags |= RANGE_GUARDED;
	}
	r->pages = pages;
	rest->backed = r->backed > pages ? r->backed - pages : 0;
	r->backed -= rest->backed;
	r->class = CLASS_NONE;
	heads_set_locked(v, rest->start, rest_index);
	return rest_index;
}

/* ---- charging ---- */

static bool charge(struct vmap *v, uint64_t pages, unsigned flags)
{
	if (pages == 0)
		return true;
	if (page_charge(v->q, pages, (flags & (QUIRE_ATOMIC | QUIRE_NOLOCK)) | QUIRE_NORETRY) != 0)
		return false;
	count_add(v->charged_pages, pages);
	if (v->charged_pages > v->charged_high)
		store_relaxed(&v->charged_high, v->charged_pages);
	return true;
}

/* Would charging @pages more be more than was ever charged? */
static bool is_new_high(const struct vmap *v, uint32_t pages)
{
	return pages != 0 && v->charged_pages + pages > v->charged_high;
}

/* The most backed pages that the other parts of a range can keep when a piece is cut out. */
static uint32_t backed_for(const struct range *r, uint32_t taken_pages, uint32_t wanted)
{
	uint32_t others = r->pages - taken_pages;
	uint32_t least = r->backed > others ? r->backed - others : 0;
	uint32_t most = r->backed < wanted ? r->backed : wanted;

	return most > least ? most : least;
}

/* Uncharges pages after the usable ones, which a new guard is about to empty. */
static void uncharge_guard_locked(struct vmap *v, struct range *r, struct vmap_request *request)
{
	uint32_t excess = r->backed > request->pages ? r->backed - request->pages : 0;

	CHECK(lock_is_held(&v->lock));
	if (excess == 0 || !request->guard_due || (request->flags & QUIRE_NOLOCK))
		return;
	r->backed -= excess;
	request->empty_due = excess > v->guard_pages; /* more than setting the guard empties */
	count_add(v->charged_pages, 0 - (uint64_t)excess);
	page_uncharge(v->q, excess);
}

/* ---- taking ---- */

/* If the caller may not wait: claims the sections of these pages that are not committed.  False if
 * another caller has claimed some, or all claims are taken. */
static bool claim_for(struct vmap *v, struct vmap_request *request, uint32_t first, uint32_t end)
{
	return !must_claim(request->flags) || (claim_busy_end_locked(v, first, end) == 0 &&
					       claim_take_locked(v, request, first, end));
}

static void hand_out(struct range *r, const struct vmap_request *request)
{
	r->class = request->class;
	r->kind = request->kind;
	r->owner = RANGE_NONE;
	store_relaxed(&r->usable, request->usable);	      /* pairs with busy_around() */
	store_relaxed(&r->asked_bytes, request->asked_bytes); /* looked at by walks */
	r->flags &= RANGE_GUARD | RANGE_GUARDED;
	range_set_state(r, RANGE_BUSY);
}

/* Cuts [start, start + total) out of an unpooled range; the other parts are pooled again.  @backed
 * is the piece's share of the backed pages, from backed_for(). */
static uint32_t cut_out(struct vmap *v, uint32_t index, uint32_t start, uint32_t total,
			uint32_t backed)
{
	uint32_t stamp_ms = range_at(v, index)->stamp_ms,
		 spare = range_at(v, index)->backed - backed;
	uint32_t usable =
		range_at(v, index)->usable > backed ? range_at(v, index)->usable - backed : 0;
	uint32_t front = RANGE_NONE, back = RANGE_NONE;

	if (start > range_at(v, index)->start) {
		front = index;
		index = space_cut_locked(v, front, start - range_at(v, front)->start);
	}
	if (range_at(v, index)->pages > total)
		back = space_cut_locked(v, index, total);
	range_at(v, index)->backed = backed;
	if (back != RANGE_NONE) {
		struct range *b = range_at(v, back);

		b->backed = spare < b->pages ? spare : b->pages;
		spare -= b->backed;
		b->usable = usable < b->pages ? usable : b->pages;
		usable -= b->usable;
		space_pool_locked(v, back, stamp_ms);
	}
	if (front != RANGE_NONE) {
		struct range *f = range_at(v, front);

		f->backed = spare;
		f->usable = usable < f->pages ? usable : f->pages;
		space_pool_locked(v, front, stamp_ms);
	}
	return index;
}

uint32_t space_take_pooled_locked(struct vmap *v, struct vmap_request *request)
{
	struct fit fit = { .pages = request->total,
			   .align = request->align,
			   .low = request->low,
			   .high = request->high };
	uint32_t backed, missing;
	struct range *r;
	bool whole;

	CHECK(lock_is_held(&v->lock));
	if (v->pooled.nr == 0 || !tree_fit_locked(v, &v->pooled, &fit))
		return RANGE_NONE;
	r = range_at(v, fit.index);
	backed = backed_for(r, request->total, request->pages);
	missing = backed < request->pages ? request->pages - backed : 0;
	if (!claim_for(v, request, fit.start, fit.start + request->total))
		return RANGE_NONE;
	if (!charge(v, missing, request->flags)) {
		claim_drop_locked(v, request);
		return RANGE_NONE;
	}
	space_unpool_locked(v, fit.index);
	whole = r->pages == request->total && (r->flags & RANGE_GUARD);
	request->move_due = whole && r->usable != request->usable;
	request->old_usable = r->usable;
	fit.index = cut_out(v, fit.index, fit.start, request->total, backed);
	r = range_at(v, fit.index);
	r->backed += missing;
	request->fresh = false;
	request->unguard_due = (r->flags & (RANGE_GUARDED | RANGE_GUARD)) && !whole;
	request->guard_due = v->guard_pages != 0 && !whole;
	uncharge_guard_locked(v, r, request);
	hand_out(r, request);
	return fit.index;
}

/* Takes [start, start + total) out of a free range. */
static uint32_t cut_out_free(struct vmap *v, uint32_t index, uint32_t start, uint32_t total)
{
	struct range *r = range_at(v, index);
	uint32_t front = start - r->start, back = r->pages - front - total, taken;

	if (front == 0 && back == 0) {
		tree_take_locked(v, &v->free, index);
		return index;
	}
	taken = make_like(v, r, start, total);
	if (front != 0 && back != 0) {
		uint32_t rest = make_like(v, r, start + total, back);

		tree_resize_locked(v, &v->free, index, r->start, front);
		tree_put_locked(v, &v->free, rest);
	} else if (front != 0) {
		tree_resize_locked(v, &v->free, index, r->start, front);
	} else {
		tree_resize_locked(v, &v->free, index, start + total, back);
	}
	return taken;
}

/*
 * Returns the pooled range directly before a free one if the allocation can begin in it, at
 * *@start; else RANGE_NONE.
 */
static uint32_t pooled_before(struct vmap *v, const struct fit *fit, uint32_t *start)
{
	uint32_t page = range_at(v, fit->index)->start, before;
	const struct range *b;

	if (v->pooled.nr == 0 || fit->start != page || page == 0)
		return RANGE_NONE;
	before = tree_floor_locked(v, &v->pooled, page - 1);
	if (before == RANGE_NONE)
		return RANGE_NONE;
	b = range_at(v, before);
	*start = (b->start + fit->align - 1) & ~(fit->align - 1);
	if (range_end(b) != page || *start < fit->low || *start >= page ||
	    page - *start >= fit->pages)
		return RANGE_NONE;
	return before;
}

/* Takes the end of a pooled range, and the rest from the free range after it. */
static uint32_t take_across(struct vmap *v, struct vmap_request *request, const struct fit *fit,
			    uint32_t before, uint32_t start)
{
	struct range *b = range_at(v, before);
	uint32_t own = range_end(b) - start, rest;
	bool rest_guarded;
	uint32_t backed = backed_for(b, own, request->pages < own ? request->pages : own);

	if (!charge(v, request->pages > backed ? request->pages - backed : 0, request->flags))
		return RANGE_NONE;
	space_unpool_locked(v, before);
	before = cut_out(v, before, start, own, backed);
	b = range_at(v, before);
	rest = cut_out_free(v, fit->index, fit->start, request->total - own);
	rest_guarded = (range_at(v, rest)->flags & RANGE_GUARDED) != 0;
	b->pages += range_at(v, rest)->pages;
	request->move_due = false;
	b->backed = request->pages > backed ? request->pages : backed;
	space_retire_locked(v, rest);
	request->fresh = false;
	request->unguard_due = (b->flags & (RANGE_GUARDED | RANGE_GUARD)) != 0 || rest_guarded;
	/* Any page of the range may be a guard until vmap_prepare() has removed it. */
	b->flags = request->unguard_due ? RANGE_GUARDED : 0;
	request->guard_due = v->guard_pages != 0;
	uncharge_guard_locked(v, b, request);
	hand_out(b, request);
	return before;
}

/* Finds the lowest free pages that fit.  If the caller may not wait, skips pages that another
 * caller is committing, and searches again after each claim. */
static bool fit_free_locked(struct vmap *v, const struct vmap_request *request, struct fit *fit)
{
	uint32_t busy_end;

	CHECK(lock_is_held(&v->lock));
	*fit = (struct fit){ .pages = request->total,
			     .align = request->align,
			     .low = request->low,
			     .high = request->high };
	while (tree_fit_locked(v, &v->free, fit)) {
		if (!must_claim(request->flags))
			return true;
		busy_end = claim_busy_end_locked(v, fit->start, fit->start + fit->pages);
		if (busy_end == 0)
			return true;
		fit->low = busy_end;
	}
	return false;
}

static uint32_t take_fit(struct vmap *v, struct vmap_request *request, const struct fit *fit)
{
	uint32_t before, start, index;
	struct range *r;

	before = request->frames ? RANGE_NONE : pooled_before(v, fit, &start);
	if (before != RANGE_NONE && must_claim(request->flags) &&
	    claim_busy_end_locked(v, start, fit->start) != 0)
		before = RANGE_NONE;
	if (!claim_for(v, request, before != RANGE_NONE ? start : fit->start,
		       fit->start + request->total))
		return RANGE_NONE;
	if (before != RANGE_NONE)
		return take_across(v, request, fit, before, start);
	if (!request->frames && !charge(v, request->pages, request->flags))
		return RANGE_NONE;
	index = cut_out_free(v, fit->index, fit->start, request->total);
	r = range_at(v, index);
	request->fresh = !(r->flags & RANGE_DIRTY);
	request->move_due = false;
	request->unguard_due = (r->flags & RANGE_GUARDED) != 0;
	request->guard_due = v->guard_pages != 0 && request->total > request->pages;
	r->backed = request->frames ? 0 : request->pages;
	r->flags &= RANGE_GUARDED;
	r->uses = 0;
	heads_set_locked(v, r->start, index);
	hand_out(r, request);
	return index;
}

uint32_t space_take_free_locked(struct vmap *v, struct vmap_request *request, int *error)
{
	struct fit fit;
	uint32_t index;

	CHECK(lock_is_held(&v->lock));
	*error = -ENOSPC;
	if (!fit_free_locked(v, request, &fit))
		return RANGE_NONE;
	*error = -EAGAIN;
	if (!meta_is_ready(v, fit.start, fit.start + request->total)) {
		request->unready_first = fit.start;
		request->unready_end = fit.start + request->total;
		return RANGE_NONE;
	}
	*error = -ENOMEM;
	v->tree_allocs++;
	index = take_fit(v, request, &fit);
	if (index == RANGE_NONE)
		claim_drop_locked(v, request);
	return index;
}

/* ---- growing in place ---- */

bool space_grow_locked(struct vmap *v, uint32_t index, uint32_t pages, struct vmap_request *request)
{
	struct range *r = range_at(v, index);
	uint32_t more = pages - r->pages, end = range_end(r);
	uint32_t pooled = tree_floor_locked(v, &v->pooled, end);
	uint32_t own = 0, backed = 0, missing, free_end = end, free;

	CHECK(lock_is_held(&v->lock));
	if (pooled != RANGE_NONE && range_at(v, pooled)->start == end) {
		const struct range *p = range_at(v, pooled);

		own = p->pages < more ? p->pages : more;
		backed = backed_for(p, own, own);
		free_end = end + own;
	}
	free = tree_floor_locked(v, &v->free, free_end);
	if (own < more && (free == RANGE_NONE || range_at(v, free)->start != free_end ||
			   range_at(v, free)->pages < more - own))
		return false;
	missing = request->pages > r->backed + backed ? request->pages - r->backed - backed : 0;
	if (request->cached && is_new_high(v, missing) &&
	    (!request->merged || v->pooled.pages >= request->pages))
		return false;
	if (more != 0 && !claim_for(v, request, end, end + more))
		return false;
	if (!charge(v, missing, request->flags)) {
		claim_drop_locked(v, request);
		return false;
	}
	request->fresh = own == 0 && more != 0;
	request->unguard_due = (r->flags & (RANGE_GUARD | RANGE_GUARDED)) != 0;
	if (!(r->flags & RANGE_GUARDED))
		request->unguarded = r->flags & RANGE_GUARD ? r->usable : r->pages;
	if (own != 0) {
		space_unpool_locked(v, pooled);
		pooled = cut_out(v, pooled, end, own, backed);
		request->unguard_due |=
			(range_at(v, pooled)->flags & (RANGE_GUARD | RANGE_GUARDED)) != 0;
		space_join_locked(v, index, pooled);
	}
	if (own < more) {
		free = cut_out_free(v, free, free_end, more - own);
		request->fresh &= !(range_at(v, free)->flags & RANGE_DIRTY);
		request->unguard_due |= (range_at(v, free)->flags & RANGE_GUARDED) != 0;
		r->pages += range_at(v, free)->pages;
		space_retire_locked(v, free);
	}
	r->backed += missing;
	r->flags = request->unguard_due ? RANGE_GUARDED : 0; /* as in take_across() */
	r->class = CLASS_NONE;
	request->guard_due = v->guard_pages != 0;
	uncharge_guard_locked(v, r, request);
	return true;
}

/* ---- returning ---- */

uint64_t space_free_locked(struct vmap *v, uint32_t index)
{
	struct range *r = range_at(v, index);
	uint64_t backed = r->backed;
	uint32_t before, behind;

	CHECK(lock_is_held(&v->lock));
	heads_clear_locked(v, r->start);
	v->retired_uses += r->uses;
	r->uses = 0;
	r->backed = 0;
	if (r->flags & RANGE_GUARD)
		r->flags |= RANGE_GUARDED;
	r->flags &= RANGE_LEFT;
	range_set_state(r, RANGE_FREE);
	count_add(v->charged_pages, 0 - backed);
	before = tree_floor_locked(v, &v->free, r->start);
	behind = tree_floor_locked(v, &v->free, range_end(r));
	if (behind != RANGE_NONE && range_at(v, behind)->start == range_end(r)) {
		const struct range *b = range_at(v, behind);

		r->flags |= b->flags & RANGE_LEFT;
		tree_take_locked(v, &v->free, behind);
		r->pages += b->pages;
		space_retire_locked(v, behind);
	}
	if (before != RANGE_NONE && range_end(range_at(v, before)) == r->start) {
		struct range *b = range_at(v, before);

		b->flags |= r->flags & RANGE_LEFT;
		tree_resize_locked(v, &v->free, before, b->start, b->pages + r->pages);
		space_retire_locked(v, index);
		return backed;
	}
	tree_put_locked(v, &v->free, index);
	return backed;
}
