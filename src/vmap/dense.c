/* SPDX-License-Identifier: MIT */
/*
 * vmap/dense.c - which areas get huge pages
 *
 * A huge page makes the first touch of a 2 MiB block nine times as fast (72 us instead of 512
 * faults), but takes 2 MiB for a single byte.  So with thp:auto fresh addresses get huge pages
 * only where similar areas are known to be written: for a full area that grows, and in a region
 * whose witness was dense.
 *
 * The witness is a fresh run with ordinary pages, for which the system can tell which were
 * written.  It is examined when the next run is needed, or before a purge.  A huge page reveals
 * nothing, so from time to time one block of a run gets ordinary pages and becomes the next witness:
 * after 1, 2, 4, .. 64 huge runs while witnesses are dense.  After a witness that is not, whole runs have
 * ordinary pages, and each is a witness.  Blocks with ordinary pages of an area that is used again, with
 * its memory, are advised while witnesses are dense: what was never touched of them comes as huge pages.
 *
 * Programs that allocate all areas before they write one leave no witness in time.  So the worker
 * looks at sections in use, and makes a huge page of what it finds written twice (huge.h).
 *
 * Dense means three quarters: huge pages then cost at most a third more than the written memory.
 * What the worker makes huge later is full, which is more: huge/look.c.
 */
#include "vmap/dense.h"

#include <quire/quire.h>

#include "base/check.h"
#include "huge/huge.h"
#include "huge/look.h"
#include "huge/policy.h"
#include "instance/instance.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "page/page.h"
#include "vmap/commit.h"
#include "vmap/heads.h"
#include "vmap/layout.h"
#include "vmap/range.h"
#include "vmap/request.h"
#include "vmap/vmap.h"

/* States of sections that pass by in one visit of the worker. */
#define PASS_MAX	   16384u
#define PROBE_MAX	   64u
/* Sections of an area that is used again: a load each.  1 GiB; the worker looks at the rest. */
#define REUSED_MAX	   512u
/* 16 MiB, as for pages (page/advice.c): a block that others do not fill is then an eighth of what is in use.  Below
 * that, an area of 64 KiB at the end of all others took 2 MiB. */
#define SHARED_FROM_BLOCKS 8u

/* True if a run of pages is densely written.  Also false if the system cannot tell. */
static bool ask_system(struct vmap *v, uint32_t start, uint32_t pages)
{
	struct huge_sample sample = huge_sample(v->base + ((size_t)start << v->page_shift), pages,
						(size_t)1 << v->page_shift);

	return sample.seen != 0 && huge_is_dense(sample.written, sample.seen);
}

static void look_locked(struct vmap *v, struct dense *d)
{
	bool dense;

	CHECK(mutex_is_held(&v->q->huge_mutex));
	if (d->witness_pages == 0)
		return;
	dense = ask_system(v, d->witness_start, d->witness_pages);
	store_relaxed(&d->was_dense, dense); /* dense_reuse() reads it as a hint */
	d->witness_pages = 0;
	d->interval = dense ? 2 * d->interval : 0;
	d->interval = d->interval < 1 ? 1 : d->interval > PROBE_MAX ? PROBE_MAX : d->interval;
	d->until_probe = d->interval;
}

/* Examines all witnesses; a purge would remove the evidence. */
void dense_look(struct vmap *v)
{
	if (!v->huge || v->always || !mutex_try(&v->q->huge_mutex))
		return;
	for (unsigned region = REGION_MIDDLE; region < REGIONS_NR; region++)
		look_locked(v, &v->dense[region]);
	mutex_release(&v->q->huge_mutex);
}

bool dense_is_full(struct vmap *v, const struct range *range, uint32_t old_pages,
		   uint32_t old_usable)
{
	unsigned shift = section_page_shift(v);

	if (!v->huge || v->always || range->start < v->region_start[REGION_MIDDLE] ||
	    (range_end(range) - 1) >> shift == (range->start + old_pages - 1) >> shift)
		return false;
	return ask_system(v, range->start, old_usable);
}

/* True if no other range has a page of the section, part of which may lie outside [from, end). */
static bool is_alone(struct vmap *v, uint32_t section, uint32_t from, uint32_t end)
{
	unsigned shift = section_page_shift(v);
	uint32_t low = section << shift, high = low + (1u << shift), head;
	lock_token token;
	bool alone = true;

	if (from <= low && end >= high)
		return true;
	token = lock_acquire(&v->lock);
	if (low < from) {
		head = heads_prev_locked(v, from - 1);
		alone = head == RANGE_NONE || range_end(range_at(v, v->map[head])) <= low;
	}
	if (alone && end < high) {
		head = heads_next_locked(v, end);
		alone = head == RANGE_NONE || head >= high;
	}
	lock_release(&v->lock, token);
	return alone;
}

static bool lock_for(struct vmap *v, unsigned flags)
{
	if (flags & QUIRE_NOLOCK)
		return false;
	if (flags & FLAGS_NO_MUTEX)
		return mutex_try(&v->q->huge_mutex);
	mutex_acquire(&v->q->huge_mutex);
	return true;
}

static bool is_much(const struct vmap *v)
{
	/* A hint. */
	return load_relaxed(&v->charged_pages) > (uint64_t)SHARED_FROM_BLOCKS * v->block_pages;
}

/* Usable pages of a range in the section from page @low on. */
static uint32_t own_pages(const struct vmap *v, uint32_t low, const struct range *range)
{
	uint32_t end = range->start + range->usable, high = low + v->block_pages;
	uint32_t from = range->start > low ? range->start : low;

	if (end > high)
		end = high;
	return end > from ? end - from : 0;
}

/*
 * Pages of a section that are expected to be used.  In the middle region other areas fill the rest if there
 * is much in use; if the last block is covered only in part, the blocks before it compensate for that.
 */
static uint32_t covered_pages(const struct vmap *v, uint32_t section, const struct range *range)
{
	uint32_t low = section << section_page_shift(v);
	uint32_t end = range->start + range->usable;

	if (range->start < v->region_start[REGION_LARGE] && !is_much(v))
		return own_pages(v, low, range);
	if (range->start < v->region_start[REGION_LARGE] || end >= low + v->block_pages ||
	    huge_is_dense(range->usable, range->pages))
		return v->block_pages;
	return end > low ? end - low : 0;
}

/* The section of a fresh run that is to be examined later: its full ones take turns, so that a program
 * which writes only the beginning of its areas is found out. */
static uint32_t probed_section(const struct vmap *v, struct dense *d, uint32_t from, uint32_t end)
{
	unsigned shift = section_page_shift(v);
	uint32_t first = (from + v->block_pages - 1) >> shift, last = end >> shift;

	return first < last ? first + d->turn++ % (last - first) : from >> shift;
}

static void set_witness(struct dense *d, uint32_t from, uint32_t end)
{
	d->witness_start = from;
	d->witness_pages = end - from;
}

/* Advises or denies the sections of [from, end).  Returns how many are advised; *@plain: some are not. */
static uint32_t advise_run(struct vmap *v, const struct range *range, struct dense *d,
			   struct huge_question *ask, uint32_t from, bool *plain)
{
	unsigned shift = section_page_shift(v);
	uint32_t end = range_end(range), huge = 0, probed = UINT32_MAX;
	uint32_t used_end =
		range->start < v->region_start[REGION_LARGE] ? end : range->start + range->usable;

	for (uint32_t i = from >> shift; i <= (end - 1) >> shift; i++) {
		uint32_t low = i << shift, high = low + v->block_pages;
		enum huge_answer answer;

		if (!is_alone(v, i, from, end))
			continue;
		if (huge == 0 && !*plain && !v->always && !ask->populated) {
			look_locked(v, d);
			probed = d->until_probe == 0 ? probed_section(v, d, from, used_end)
						     : UINT32_MAX;
		}
		ask->covered_pages = covered_pages(v, i, range);
		ask->witness_was_dense = d->was_dense;
		ask->until_probe = i == probed ? 0 : 1;
		answer = huge_decide(ask);
		if (answer >= HUGE_YES) {
			huge_allow(&v->advice, i, i + 1);
			huge++;
			continue;
		}
		huge_deny(&v->advice, i, i + 1);
		*plain = true;
		if (answer == HUGE_PROBE)
			set_witness(d, low > from ? low : from, high < used_end ? high : used_end);
	}
	return huge;
}

void dense_advise(struct vmap *v, const struct range *range, const struct vmap_request *request)
{
	bool shared = range->start < v->region_start[REGION_LARGE], plain = false;
	struct dense *d = &v->dense[shared ? REGION_MIDDLE : REGION_LARGE];
	uint32_t from = range->start + request->kept, end = range_end(range), huge;
	struct huge_question ask = { .always = v->always,
				     .refused = (request->flags & QUIRE_NOHUGE) != 0,
				     .populated = !shared && (request->flags & QUIRE_HUGE) != 0,
				     .grown_and_full = request->grown_and_full,
				     .block_pages = v->block_pages };

	if (from < v->region_start[REGION_MIDDLE] || from >= end || !lock_for(v, request->flags))
		return;
	huge = advise_run(v, range, d, &ask, from, &plain);
	/* What the caller says of this area says nothing of others. */
	if (huge != 0 && d->until_probe != 0 && !ask.populated)
		d->until_probe--;
	if (plain && huge == 0 && !ask.populated && !ask.refused)
		set_witness(d, from, shared ? end : range->start + range->usable);
	mutex_release(&v->q->huge_mutex);
}

static bool is_plain(const struct vmap *v, uint32_t section)
{
	enum huge_kind kind = huge_kind(&v->advice, section);

	return kind == HUGE_PLAIN || kind == HUGE_FULL;
}

/* The first section in [first, end) without huge pages, or @end. */
static uint32_t next_plain(const struct vmap *v, uint32_t first, uint32_t end)
{
	while (first < end && !is_plain(v, first))
		first++;
	return first;
}

/* True if the witness lies in @range. */
static bool has_witness(const struct dense *d, const struct range *range)
{
	return d->witness_pages != 0 && d->witness_start < range_end(range) &&
	       range->start < d->witness_start + d->witness_pages;
}

void dense_reuse(struct vmap *v, const struct range *range, unsigned flags)
{
	unsigned shift = section_page_shift(v);
	struct dense *d = &v->dense[REGION_LARGE];
	uint32_t first = (range->start + v->block_pages - 1) >> shift;
	uint32_t end = (range->start + range->usable) >> shift;
	struct huge_question ask = { .always = v->always,
				     .populated = (flags & (QUIRE_HUGE | QUIRE_ZERO)) != 0,
				     .covered_pages = v->block_pages,
				     .block_pages = v->block_pages,
				     .until_probe = 1 };

	if (!v->huge || flags & QUIRE_NOHUGE || range->start < v->region_start[REGION_LARGE] ||
	    first >= end || !(v->always || ask.populated || load_relaxed(&d->was_dense)))
		return;
	if (end - first > REUSED_MAX)
		end = first + REUSED_MAX;
	first = next_plain(v, first, end);
	if (first == end || !lock_for(v, flags))
		return;
	/* Who had it before wrote all that he was going to. */
	if (has_witness(d, range))
		look_locked(v, d);
	ask.witness_was_dense = d->was_dense;
	for (; first < end; first = next_plain(v, first + 1, end))
		if (huge_decide(&ask) >= HUGE_YES)
			huge_allow(&v->advice, first, first + 1);
	mutex_release(&v->q->huge_mutex);
}

static bool is_unused(struct vmap *v, uint32_t section)
{
	uint32_t inside = (section << section_page_shift(v)) + 1;

	return is_alone(v, section, inside, inside);
}

void dense_went(struct vmap *v, uint32_t from, uint32_t end)
{
	unsigned shift = section_page_shift(v);
	uint32_t least = v->region_start[REGION_MIDDLE] >> shift;
	uint32_t first = from >> shift, after = ((end - 1) >> shift) + 1;

	if (first < least) /* small areas never have any */
		first = least;
	if (first >= after || !huge_whole_may_change(&v->advice, first, after, v->always))
		return;
	mutex_acquire(&v->q->huge_mutex);
	/* Who takes addresses of a section meanwhile decides for it afterwards. */
	for (uint32_t run = first; first < after; first = run + 1) {
		for (run = first; run < after && is_unused(v, run); run++)
			;
		if (run > first)
			huge_whole_went(&v->advice, first, run, v->always);
	}
	mutex_release(&v->q->huge_mutex);
}

/* Gives the committed sections of a region the same advice, run by run. */
static void settle_region(struct vmap *v, unsigned region)
{
	unsigned shift = section_page_shift(v);
	uint32_t end = v->region_start[region + 1] >> shift;

	for (uint32_t i = v->region_start[region] >> shift, run; i < end; i = run + 1) {
		for (run = i; run < end && huge_kind(&v->advice, run) != HUGE_UNUSED; run++)
			;
		if (run > i)
			huge_settle(&v->advice, i, run, v->always);
	}
}

/* Merges mappings that differ in advice, if nothing is in use or cached.  Where areas are small none has any. */
void dense_settle(struct vmap *v)
{
	/* A hint: at worst, areas that appear meanwhile lose their advice. */
	if (!v->huge || load_relaxed(&v->free.pages) != v->span_pages ||
	    v->region_start[REGION_MIDDLE] == v->span_pages)
		return;
	if (!mutex_try(&v->q->huge_mutex))
		return;
	for (unsigned region = REGION_MIDDLE; region < REGIONS_NR; region++)
		settle_region(v, region);
	mutex_release(&v->q->huge_mutex);
}

void dense_collapse(struct vmap *v)
{
	unsigned shift = section_page_shift(v);
	uint32_t first = v->region_start[REGION_MIDDLE] >> shift, end = v->span_pages >> shift;
	uint32_t left = end - first < PASS_MAX ? end - first : PASS_MAX;
	struct huge_visit visit;

	CHECK(mutex_is_held(&v->purge_mutex));
	if (!v->huge || !huge_visit_begin(&visit))
		return;
	/* No section twice: two looks are to be a second apart. */
	for (; left != 0 && !huge_visit_is_over(&visit); left--) {
		uint32_t section = v->look_section;

		v->look_section = section + 1 < end ? section + 1 : first;
		/* A hint, which saves the mutex. */
		if (section >= first && is_plain(v, section))
			huge_look(&v->advice, section, &visit);
	}
}
