/* SPDX-License-Identifier: MIT */
/*
 * page/advice.c - which blocks of pages are advised to have huge pages
 *
 * A huge page makes the first touch of a block nine times as fast, and takes 2 MiB for a single
 * byte.  An instance opens a block for each type that it uses, so a small one would pay 6 MiB for
 * speed that it does not notice.  Therefore, with thp:auto:
 *
 *   block                                                  advice
 *   fresh, while HUGE_FROM_BLOCKS or fewer were in use     none
 *   fresh, later, while the witness was not written        none
 *   fresh, later, while it was                             huge pages, but for the next witness
 *   given back in part                                     none, until all of it is free
 *   given back as a whole                                  as a fresh one, or as its neighbours
 *   found full and written by two visits of the worker,    huge pages, made at once
 *   when more than HUGE_FROM_BLOCKS were in use
 *
 * The witness are blocks with ordinary pages, for which the system can tell which were written: the first
 * blocks, later the last block of a step by which a zone grew, and all of a step after a witness that was not
 * written.  It is looked at when the next step is due, as nearly all blocks are in use then.  While witnesses are
 * three quarters written, the next is of the step after 1, 3, 7, .. 63 others.  A block that was
 * offline leaves no witness and looks at none; a witness of which a block goes back as a whole, or offline, is
 * forgotten, or a program that trims would lose its huge pages.  Programs differ: a page of objects
 * that are never written, or of slabs that are not full, has no memory without huge pages.
 *
 * Growing never goes back: an instance that was large once may be large again, and what it gave
 * back as a whole is as cheap to fill with huge pages as it was the first time.  With thp:on every
 * block counts as one after the first ones; with thp:off none is ever advised.
 */
#include "page/advice.h"

#include "base/check.h"
#include "huge/huge.h"
#include "huge/look.h"
#include "huge/policy.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "page/block.h"
#include "page/layout.h"
#include "page/pages.h"
#include "page/zone.h"

/*
 * 16 MiB.  Measured with pages of three types, all written: a heap of 4 MiB took 8 MiB with huge
 * pages from the first block on, one of 8 MiB took 12, one of 16 MiB took 20.  What exceeds the use
 * is up to a block for each type, so it is a fifth of the first heap that has huge pages, and less
 * of a larger one.  The price is 4,096 faults, once: 16 MiB were filled in 7.8 ms instead of 3.4.
 */
#define HUGE_FROM_BLOCKS 8u

/* Steps without a witness: 2 GiB of the largest steps. */
#define INTERVAL_MAX 63u

/* Blocks that pass by in one hold of the zone lock. */
#define PASS_MAX 512u

static bool is_large(const struct pages *p)
{
	uint64_t touched = 0;

	for (unsigned i = 0; i < p->zones_nr; i++)
		touched += load_relaxed(&p->zone[i].blocks_touched); /* growers write it: a hint */
	return touched > HUGE_FROM_BLOCKS;
}

/* Are blocks huge that are known to be written? */
static bool may_be_huge(const struct pages *p)
{
	return p->q.thp && (p->q.thp_always || is_large(p));
}

/* Are blocks that hold nothing advised to have huge pages? */
static bool wants_huge(const struct pages *p)
{
	struct huge_question ask = { .off = !p->q.thp,
				     .always = p->q.thp_always,
				     .covered_pages = 1, /* pages of one order fill a block */
				     .block_pages = 1 };

	/* A hint without the mutex. */
	ask.large = is_large(p) && load_relaxed(&p->witness.was_dense);
	return huge_decide(&ask) >= HUGE_YES;
}

/* ---- the witness ---- */

/* If the system cannot tell, the witness counts as dense. */
static bool is_dense(const struct pages *p, const struct page_witness *w)
{
	struct huge_sample sample =
		huge_sample(page_addr(p, block_frame(p, w->first)),
			    (w->end - w->first) << p->pageblock_order, (size_t)1 << p->page_shift);

	return sample.seen == 0 || huge_is_dense(sample.written, sample.seen);
}

static void look_at_witness_locked(struct pages *p)
{
	struct page_witness *w = &p->witness;

	CHECK(mutex_is_held(&p->q.huge_mutex));
	if (w->first == w->end)
		return;
	store_relaxed(&w->was_dense, is_dense(p, w)); /* wants_huge() reads it as a hint */
	w->interval = w->was_dense ? 2 * w->interval + 1 : 0;
	if (w->interval > INTERVAL_MAX)
		w->interval = INTERVAL_MAX;
	w->until = w->interval;
	w->first = w->end;
}

/* Adds blocks [first, end), which have no huge pages, to the witness if they follow it; else they are the witness. */
static void extend_witness(struct page_witness *w, uint32_t first, uint32_t end)
{
	if (w->end != first)
		w->first = first;
	w->end = end;
}

/* Of blocks that went, nothing is known any more. */
static void forget_witness_locked(struct pages *p, uint32_t first, uint32_t end)
{
	struct page_witness *w = &p->witness;

	CHECK(mutex_is_held(&p->q.huge_mutex));
	if (first < w->end && w->first < end)
		w->first = w->end;
}

/* Where blocks with huge pages end in a step [first, end): the rest is the witness, which whoever takes the next
 * step looks at. */
static uint32_t huge_end_locked(struct pages *p, uint32_t first, uint32_t end, bool was_offline)
{
	struct page_witness *w = &p->witness;

	CHECK(mutex_is_held(&p->q.huge_mutex));
	if (!p->q.thp || p->q.thp_always || was_offline)
		return wants_huge(p) ? end : first;
	if (is_large(p))
		look_at_witness_locked(p);
	if (!wants_huge(p)) {
		extend_witness(w, first, end);
		return first;
	}
	if (w->until != 0) {
		w->until--;
		return end;
	}
	extend_witness(w, end - 1, end);
	return end - 1;
}

void page_advise_fresh(struct pages *p, uint32_t first, uint32_t end, bool was_offline,
		       bool may_wait)
{
	uint32_t huge_end;

	if (may_wait)
		mutex_acquire(&p->q.huge_mutex);
	else if (!mutex_try(&p->q.huge_mutex))
		return;
	huge_end = huge_end_locked(p, first, end, was_offline);
	if (first < huge_end)
		huge_usable(&p->huge, first, huge_end, true);
	if (huge_end < end)
		huge_usable(&p->huge, huge_end, end, false);
	mutex_release(&p->q.huge_mutex);
}

void page_advise_empty(struct pages *p, uint32_t first, uint32_t end)
{
	bool wants = wants_huge(p);

	if (!p->q.thp)
		return;
	mutex_acquire(&p->q.huge_mutex);
	forget_witness_locked(p, first, end);
	if (huge_whole_may_change(&p->huge, first, end, wants))
		huge_whole_went(&p->huge, first, end, wants);
	mutex_release(&p->q.huge_mutex);
}

void page_advise_offline(struct pages *p, uint32_t block, bool is_gone)
{
	if (is_gone) {
		page_advise_empty(p, block, block + 1);
		return;
	}
	mutex_acquire(&p->q.huge_mutex);
	forget_witness_locked(p, block, block + 1);
	mutex_release(&p->q.huge_mutex);
}

bool page_advise_pieces(struct pages *p, uint32_t first, uint32_t end)
{
	return p->q.thp && huge_part_goes(&p->huge, first, end);
}

/* Finds blocks of which nothing is free, from where the last visit ended.  Those with a free page are
 * left alone, since the page may go back before long. */
static unsigned find_full(struct pages *p, uint32_t *blocks)
{
	struct zone *zone = &p->zone[p->look_zone];
	unsigned nr = 0;
	lock_token token;

	zone_lock_for(zone, 0, &token);
	for (unsigned i = 0; i < PASS_MAX && nr < HUGE_LOOKS_MAX; i++) {
		uint32_t block = zone->block_first + p->look_block;
		const struct pageblock *b = &p->block[block];

		if (p->look_block >= zone->blocks_touched) {
			p->look_block = 0;
			p->look_zone = (p->look_zone + 1) % p->zones_nr;
			break;
		}
		if (b->online && b->free_pages == 0)
			blocks[nr++] = block;
		p->look_block++;
	}
	zone_unlock(zone, token);
	return nr;
}

void page_advise_full(struct pages *p)
{
	uint32_t blocks[HUGE_LOOKS_MAX];
	struct huge_visit visit;
	unsigned nr = 0;

	DCHECK(mutex_is_held(&p->giveback_mutex));
	if (may_be_huge(p) && !p->q.shared && huge_visit_begin(&visit))
		nr = find_full(p, blocks);
	for (unsigned i = 0; i < nr && !huge_visit_is_over(&visit); i++)
		huge_look(&p->huge, blocks[i], &visit);
}
