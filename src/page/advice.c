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
 *   fresh, later                                           huge pages
 *   given back in part                                     none, until all of it is free
 *   given back as a whole                                  huge pages if more than those blocks were
 *                                                          ever in use, else as its neighbours
 *   found full and written by two visits of the worker,    huge pages, made at once
 *   while a fresh block would be advised
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
#include "machine/mem.h"
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

/* Blocks that pass by in one hold of the zone lock. */
#define PASS_MAX 512u

/* Are blocks that hold nothing advised to have huge pages? */
static bool wants_huge(struct pages *p)
{
	struct huge_question ask = { .off = !p->q.thp,
				     .always = p->q.thp_always,
				     .covered_pages = 1, /* pages of one order fill a block */
				     .block_pages = 1 };
	uint64_t touched = 0;

	for (unsigned i = 0; i < p->zones_nr; i++)
		touched += load_relaxed(&p->zone[i].blocks_touched); /* growers write it: a hint */
	ask.large = touched > HUGE_FROM_BLOCKS;
	return huge_decide(&ask) >= HUGE_YES;
}

void page_advise_fresh(struct pages *p, uint32_t first, uint32_t end, bool may_wait)
{
	if (may_wait)
		mutex_acquire(&p->q.huge_mutex);
	else if (!mutex_try(&p->q.huge_mutex))
		return;
	huge_usable(&p->huge, first, end, wants_huge(p));
	mutex_release(&p->q.huge_mutex);
}

void page_advise_empty(struct pages *p, uint32_t first, uint32_t end)
{
	bool wants = wants_huge(p);

	if (!p->q.thp || !huge_whole_may_change(&p->huge, first, end, wants))
		return;
	mutex_acquire(&p->q.huge_mutex);
	huge_whole_went(&p->huge, first, end, wants);
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
		if (b->online && !b->whole && b->free_pages == 0)
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
	if (wants_huge(p) && !p->q.shared && huge_visit_begin(&visit))
		nr = find_full(p, blocks);
	for (unsigned i = 0; i < nr && !huge_visit_is_over(&visit); i++)
		huge_look(&p->huge, blocks[i], &visit);
}
