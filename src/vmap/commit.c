/* SPDX-License-Identifier: MIT */
/*
 * vmap/commit.c - making addresses usable
 *
 * The span is a reservation.  Sections of 2 MiB are committed for the first area that lies in
 * them, many in one system call, by the caller that has claimed them (claim.c), and stay
 * committed.  Adjacent sections are one mapping, so the number of mappings does not grow with the
 * number of areas.  Sections begin without huge pages; dense.c decides which ones get them (with
 * thp:on, all except where areas are small).
 *
 * When a purge returns part of a 2 MiB block, the block gets no huge page until all of it is free:
 * khugepaged would fill the holes (16 MiB every 10 s by default).
 *
 * Guards.  A guard page is a marker in the page table, not a mapping.  It is set on a page
 * without memory, and never inside a huge page: in the large region the rest of the 2 MiB after
 * the area's end is unbacked first.  A range that keeps its shape keeps its guard; when a range
 * is reused for another number of pages, the guard moves.  Where a guard would be a mapping and
 * the process's budget is used up, the area has no guard.
 */
#include "vmap/commit.h"

#include <quire/quire.h>

#include "base/check.h"
#include "base/errno.h"
#include "huge/huge.h"
#include "instance/instance.h"
#include "machine/atomic.h"
#include "machine/mem.h"
#include "vmap/claim.h"
#include "vmap/dense.h"
#include "vmap/layout.h"
#include "vmap/mapped.h"
#include "vmap/meta.h"
#include "vmap/range.h"
#include "vmap/request.h"
#include "vmap/vmap.h"

/* Publishes committed sections.  If counting the advice would require waiting, another caller does
 * it later (vmap_count_advice()). */
static void publish(struct vmap *v, uint32_t first, uint32_t end, unsigned flags)
{
	uint32_t page = first << section_page_shift(v);
	bool advise = v->always && page >= v->region_start[REGION_MIDDLE];

	fetch_add_relaxed(&v->sections_ready, end - first);
	if (!must_claim(flags)) {
		mutex_acquire(&v->q->huge_mutex);
	} else if (!mutex_try(&v->q->huge_mutex)) {
		huge_usable_uncounted(&v->advice, first, end, advise);
		store_release(&v->uncounted, true); /* pairs with vmap_count_advice() */
		return;
	}
	huge_usable(&v->advice, first, end, advise);
	mutex_release(&v->q->huge_mutex);
}

void vmap_count_advice(struct vmap *v)
{
	unsigned shift = section_page_shift(v);

	if (!load_relaxed(&v->uncounted) || !mutex_try(&v->q->huge_mutex))
		return;
	/* Pairs with publish(); later sections set it again. */
	for (unsigned region = exchange_acquire(&v->uncounted, false) ? 0 : REGIONS_NR;
	     region < REGIONS_NR; region++)
		huge_count(&v->advice, v->region_start[region] >> shift,
			   v->region_start[region + 1] >> shift,
			   v->always && region != REGION_SMALL);
	mutex_release(&v->q->huge_mutex);
}

/* Commits claimed sections.  Returns 0 or -errno. */
static int commit_run(struct vmap *v, uint32_t first, uint32_t end, unsigned flags)
{
	char *addr = v->base + ((size_t)first << SECTION_SHIFT);
	size_t bytes = (size_t)(end - first) << SECTION_SHIFT;
	uint32_t page = first << section_page_shift(v);
	int error;

	error = meta_ready(v, page, end << section_page_shift(v), flags);
	if (!error)
		error = mem_commit(addr, bytes);
	if (!error)
		publish(v, first, end, flags);
	return error;
}

/* The same, but sections from @wanted_end on are optional: if the system refuses, tries without
 * them. */
static int commit_ahead(struct vmap *v, uint32_t first, uint32_t end, uint32_t wanted_end,
			unsigned flags)
{
	int error = commit_run(v, first, end, flags);

	if (error != -ENOMEM || end <= wanted_end)
		return error;
	return first < wanted_end ? commit_run(v, first, wanted_end, flags) : 0;
}

static bool is_committed(const struct vmap *v, uint32_t first, uint32_t end)
{
	for (uint32_t i = first; i < end; i++)
		if (!section_is_ready(v, i))
			return false;
	return true;
}

/* Commits the sections that were claimed together with the addresses, run by run; only those that
 * are needed, if committing populates memory.  Returns 0 or -errno. */
static int commit_claimed(struct vmap *v, const struct claim *claim, uint32_t wanted_end,
			  unsigned flags)
{
	uint32_t first = claim->first, end = claim->end, run;
	int error = 0;

	if (end > wanted_end && mem_is_locked())
		end = wanted_end;
	while (!error && first < end) {
		for (run = first; run < end && !section_is_ready(v, run); run++)
			; /* some may have been ready before */
		if (run > first)
			error = commit_ahead(v, first, run, wanted_end, flags);
		first = run > first ? run : first + 1;
	}
	return error;
}

static int commit_waiting(struct vmap *v, uint32_t first, uint32_t end, unsigned flags)
{
	struct claim *claim;
	int error = 0;
	bool locked;

	mutex_acquire(&v->commit_mutex);
	locked = mem_is_locked();
	while (!error && first < end) {
		claim = claim_next(v, &first, end, locked);
		if (claim->first != claim->end)
			error = commit_ahead(v, claim->first, claim->end, end, flags);
		first = claim->end;
		claim_put(v, claim);
	}
	mutex_release(&v->commit_mutex);
	vmap_count_advice(v);
	return error;
}

int vmap_commit(struct vmap *v, const struct range *range, struct vmap_request *request)
{
	unsigned shift = section_page_shift(v);
	uint32_t first = range->start >> shift;
	uint32_t end = ((range_end(range) - 1) >> shift) + 1;
	struct claim *claim = request->claim;
	int error;

	if (claim != NULL) {
		error = commit_claimed(v, claim, end, request->flags);
		request->claim = NULL;
		claim_put(v, claim);
		return error;
	}
	if (LIKELY(is_committed(v, first, end)))
		return 0;
	if (request->flags & QUIRE_NOLOCK)
		return -EAGAIN;
	/* A caller that may not wait has a claim. */
	CHECK(!must_claim(request->flags));
	return commit_waiting(v, first, end, request->flags);
}

/* Takes the memory after the usable pages of a range whose pages may be huge. */
static void empty_tail(struct vmap *v, const struct range *range)
{
	size_t usable = (size_t)range->usable << v->page_shift;

	(void)gather_unback_one((char *)range_addr(v, range) + usable,
				((size_t)range->pages << v->page_shift) - usable);
}

/* False if no huge page can be where a range's guard belongs.  A hint is enough: if the
 * worker advises the block meanwhile, it looked at it twice, a second apart, and the guard is removed or
 * set again when the range is used the next time. */
static bool end_may_be_huge(const struct vmap *v, const struct range *range)
{
	uint32_t page = range->start + range->usable;

	return v->huge && huge_kind(&v->advice, page >> section_page_shift(v)) != HUGE_PLAIN;
}

/* Sets a guard after the first @at pages. */
static int set_guard(struct vmap *v, struct range *range, uint32_t at)
{
	int error = mapped_guard(v, range->start + at, 1);

	if (error)
		return error;
	range->flags = RANGE_GUARD;
	fetch_add_relaxed(&v->guards_installed, 1);
	return 0;
}

/* To call when the budget has no mapping for a second guard: removes the old guard first.  If
 * another thread takes its place in the budget, the range has no guard. */
static int replace_guard(struct vmap *v, struct range *range, uint32_t from, uint32_t to)
{
	int error = mapped_unguard(v, range->start + from, to > from ? to - from : 1);

	if (error)
		return error;
	range->flags = 0;
	(void)set_guard(v, range, to);
	return 0;
}

/*
 * Sets the new guard first, so that the end is never unguarded; if that is refused, the old guard
 * remains.  An old guard beyond the new one may stay, since its page belongs to no user; it is
 * removed when the area grows over it, or by the purge.  It must go if guards are mappings, which
 * count against the budget.
 */
static int move_guard(struct vmap *v, struct range *range, uint32_t from, uint32_t to)
{
	int error = set_guard(v, range, to);

	if (error == -ENOSPC)
		return replace_guard(v, range, from, to);
	if (error)
		return error;
	if (to > from)
		error = mapped_unguard(v, range->start + from, to - from);
	else if (!mem_guard_works())
		(void)mapped_unguard(v, range->start + from, 1);
	return error;
}

int vmap_reshape(struct vmap *v, struct range *range, uint32_t usable)
{
	int error = 0;

	if (usable == range->usable)
		return 0;
	if (range->flags & RANGE_GUARD) {
		error = move_guard(v, range, range->usable, usable);
	} else if (range->flags & RANGE_GUARDED) {
		error = mapped_unguard(v, range->start, range->pages);
		if (!error)
			range->flags &= (uint8_t)~RANGE_GUARDED;
	}
	if (!error)
		store_relaxed(&range->usable, usable); /* pairs with busy_around() */
	return error;
}

void vmap_forbid(struct vmap *v, struct range *range)
{
	if (!v->guard_freed)
		return;
	(void)mapped_guard(v, range->start, range->pages);
	range->flags = RANGE_GUARDED; /* if it was refused, on some pages perhaps */
}

/* Removes the guards in what will be usable.  Those after a guard that is set next may stay, as in
 * move_guard(). */
static int unguard(struct vmap *v, struct range *range, const struct vmap_request *request)
{
	bool some = request->guard_due && mem_guard_works();
	uint32_t from = request->unguarded, end = some ? range->usable : range->pages;
	int error = from < end ? mapped_unguard(v, range->start + from, end - from) : 0;

	range->flags = error || some ? RANGE_GUARDED : 0;
	return error;
}

int vmap_prepare(struct vmap *v, struct range *range, const struct vmap_request *request)
{
	int error = 0;

	if (request->fresh && v->huge)
		dense_advise(v, range, request);
	if (request->move_due) {
		error = move_guard(v, range, request->old_usable, range->usable);
		if (error) /* it stands where nobody will know of */
			range->flags = RANGE_GUARDED;
	}
	if (!error && request->unguard_due)
		error = unguard(v, range, request);
	if (!error && request->guard_due) {
		if (!request->fresh && (request->empty_due || end_may_be_huge(v, range)))
			empty_tail(v, range);
		error = set_guard(v, range, range->usable);
		if (error == -ENOSPC)
			error = 0; /* the area does without */
	}
	return error;
}
