/* SPDX-License-Identifier: MIT */
/*
 * vmap/commit.c - making addresses usable
 *
 * The span is a reservation.  Sections of 2 MiB become usable when an area first lies in them, many
 * in one system call, and stay so: neighbours are one mapping, so the number of mappings does not grow
 * with areas.  They begin without huge pages; which get them, dense.c knows (with thp:on all but where
 * areas are small).
 *
 * A block of 2 MiB of which a purge gives back a part gets no huge page again before all of it is free:
 * the system's collapsing thread would fill the holes (16 MiB every 10 s by default).
 *
 * Guards.  A guard page is a marker in the page table, not a mapping; it is set where nothing is
 * behind the page, and never inside a huge page: in the large region the rest of the 2 MiB behind an
 * area's end is emptied first.  A range that keeps its shape keeps its guard; one that is reused for
 * another number of pages has it moved.  Where it would be a mapping and the process's budget has none
 * left, the area has no guard.
 */
#include "vmap/vmap.h"

#include "machine/mem.h"

static unsigned region_of(const struct vmap *v, uint32_t page)
{
	return page < v->region_start[REGION_MIDDLE]  ? REGION_SMALL
	       : page < v->region_start[REGION_LARGE] ? REGION_MIDDLE
						      : REGION_LARGE;
}

/* Sections [first, end) that can be committed in one go: wanted ones, and more of the same region that
 * are not yet, up to an eighth of what there is. */
static uint32_t run_end(const struct vmap *v, uint32_t first, uint32_t wanted_end, bool locked)
{
	uint32_t pages = 1u << (SECTION_SHIFT - v->page_shift);
	uint32_t sections = v->span_pages / pages, end = first, ahead = v->sections_ready / 8;

	if (ahead > SECTIONS_AT_ONCE)
		ahead = SECTIONS_AT_ONCE;

	while (end < sections && !load_relaxed(&v->section[end]) &&
	       region_of(v, end * pages) == region_of(v, first * pages) &&
	       (end < wanted_end || (!locked && end - first < ahead)))
		end++;
	return end;
}

/* Publishes the sections.  -EAGAIN: @flags forbid to wait for who advises. */
static int make_usable(struct vmap *v, uint32_t first, uint32_t end, unsigned flags)
{
	uint32_t page = first << (SECTION_SHIFT - v->page_shift);

	if (flags & (QUIRE_NOWAIT | QUIRE_ATOMIC)) {
		if (!mutex_try(&v->q->huge_mutex))
			return -EAGAIN;
	} else {
		mutex_acquire(&v->q->huge_mutex);
	}
	huge_usable(&v->advice, first, end, v->always && region_of(v, page) != REGION_SMALL);
	mutex_release(&v->q->huge_mutex);
	return 0;
}

static int commit_run(struct vmap *v, uint32_t first, uint32_t end, unsigned flags)
{
	char *addr = v->base + ((size_t)first << SECTION_SHIFT);
	size_t bytes = (size_t)(end - first) << SECTION_SHIFT;
	uint32_t page = first << (SECTION_SHIFT - v->page_shift);
	int error;

	error = meta_make_ready(v, page, end << (SECTION_SHIFT - v->page_shift));
	for (uint32_t i = first; !error && i < end && MUTANT(vmap_section_before_memory); i++)
		store_release(&v->section[i], HUGE_PLAIN);
	if (!error)
		error = mem_commit(addr, bytes, "quire-areas");
	if (!error)
		error = make_usable(v, first, end, flags);
	if (!error)
		v->sections_ready += end - first;
	return error;
}

static bool is_committed(const struct vmap *v, uint32_t first, uint32_t end)
{
	for (uint32_t i = first; i < end; i++) {
		if (!load_acquire(&v->section[i])) /* pairs with huge_usable() */
			return false;
	}
	return true;
}

bool vmap_deny_huge(struct vmap *v, uint32_t page)
{
	uint32_t section = page >> (SECTION_SHIFT - v->page_shift);
	bool denied;

	mutex_acquire(&v->q->huge_mutex);
	/* A section's kind also says that it is committed, which what a handler was refused may not be. */
	denied = huge_kind(&v->advice, section) != HUGE_UNUSED &&
		 huge_deny(&v->advice, section, section + 1);
	mutex_release(&v->q->huge_mutex);
	return denied;
}

/* 0; -ENOMEM if the system refused; -EAGAIN if @flags forbid to wait. */
int vmap_commit(struct vmap *v, const struct range *range, unsigned flags)
{
	unsigned shift = SECTION_SHIFT - v->page_shift;
	uint32_t first = range->start >> shift;
	uint32_t end = ((range_end(range) - 1) >> shift) + 1;
	bool locked;
	int error = 0;

	if (LIKELY(is_committed(v, first, end)))
		return 0;
	if (flags & QUIRE_NOLOCK)
		return -EAGAIN;
	if (flags & (QUIRE_NOWAIT | QUIRE_ATOMIC)) {
		if (!mutex_try(&v->commit_mutex))
			return -EAGAIN;
	} else {
		mutex_acquire(&v->commit_mutex);
	}
	locked = mem_is_locked();
	while (!error && first < end) {
		uint32_t run = run_end(v, first, end, locked);

		if (run == first)
			run = first + 1; /* committed before */
		else
			error = commit_run(v, first, run, flags);
		first = run;
	}
	mutex_release(&v->commit_mutex);
	return error;
}

/* Empties what follows the usable pages in a range whose pages may be huge. */
static void empty_tail(struct vmap *v, const struct range *range)
{
	struct mem_range one;
	struct gather gather;
	size_t usable = (size_t)range->usable << v->page_shift;

	gather_begin(&gather, &one, 1);
	gather_unback(&gather, (char *)range_addr(v, range) + usable,
		      ((size_t)range->pages << v->page_shift) - usable);
	gather_finish(&gather);
}

/* Behind the first @at pages. */
static int set_guard(struct vmap *v, struct range *range, uint32_t at)
{
	int error = mapped_guard(v, range->start + at, 1);

	if (error)
		return error;
	range->flags = RANGE_GUARD;
	fetch_add_relaxed(&v->guards_installed, 1);
	return 0;
}

/* There is no mapping for a second guard: the old one gives way.  Another thread may take its place in
 * the budget; then there is none. */
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
 * The new guard first, so that the end is never open; refused, the old one still stands.  An old one
 * further up may stay: it is nobody's page, and goes when the area grows over it, or with the purge.  As
 * a mapping it would be missed.
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
	if (mapped_guard(v, range->start, range->pages) == 0)
		range->flags = RANGE_GUARDED;
}

int vmap_prepare(struct vmap *v, struct range *range, const struct request *request)
{
	int error = 0;

	if (request->fresh && v->huge)
		dense_advise(v, range, request);
	if (request->move_due) {
		error = move_guard(v, range, request->old_usable, range->usable);
		if (error) /* it stands where nobody will know of */
			range->flags = RANGE_GUARDED;
	}
	if (!error && request->unguard_due) {
		error = mapped_unguard(v, range->start, range->pages);
		range->flags = error ? RANGE_GUARDED : 0;
	}
	if (!error && request->guard_due) {
		if (!request->fresh && v->huge)
			empty_tail(v, range);
		error = set_guard(v, range, range->usable);
		if (error == -ENOSPC)
			error = 0; /* the area does without */
	}
	return error;
}
