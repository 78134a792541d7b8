/* SPDX-License-Identifier: MIT */
/*
 * slab/unback.c - pages inside slabs that hold nothing but free objects
 *
 * A slab with one object in use keeps all its pages.  When an instance is idle, or is asked to give back what it can,
 * the memory of pages all of whose objects are free goes back to the system, and the slab stays.
 * The pages read zero afterwards, which is as good as what was in them: nothing is promised of a free object.
 * Objects that were constructed, or filled with a pattern, keep their pages.
 *
 * What describes slabs that have left goes as well (meta.c).
 *
 * The walk goes over the records in the order of addresses, whatever their class: neighbouring pages become one range,
 * and a block of 2 MiB is judged as a whole.  If the block may have a huge page, taking a part of it splits that
 * page, and the block loses the advice, as when free pages go in part (page/giveback.c).  So it is left alone
 * unless a share of it would go that is worth it.
 *
 * A slab whose pages go is held:
 *
 *   from      when                                          to      under
 *   filed     a page of it is to go                         held    class lock
 *   held      the gather has finished, or nothing goes      filed   class lock
 *
 * No allocation takes from a held slab, so no page that goes gets a user; objects may be put back, so an answer given
 * under the lock stays true (C7).  The lock is not held over the gather.  An allocation that is refused memory waits for the
 * mutex and looks again (grow.c).
 */
#include "slab/unback.h"

#include "base/check.h"
#include "huge/huge.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "page/advice.h"
#include "page/giveback.h"
#include "page/pages.h"
#include "slab/meta.h"
#include "slab/objects.h"
#include "slab/record.h"

#define BLOCK_RECORDS ((uint32_t)(HUGE_BYTES >> SLAB_SHIFT))
/* A quarter: 128 pages of 4 KiB make up for the faults of the 384 that stay, should they be used again. */
#define HUGE_SHARE    4u

_Static_assert(STEP_RECORDS % BLOCK_RECORDS == 0, "a block's records are usable together");

/* ---- which pages of a slab ---- */

/* True if objects [first, last] are free. */
static bool range_is_free(const uint64_t *map, uint32_t first, uint32_t last)
{
	for (uint32_t word = first / 64; word <= last / 64; word++) {
		uint64_t wanted = UINT64_MAX;

		if (word == first / 64)
			wanted &= UINT64_MAX << first % 64;
		if (word == last / 64)
			wanted &= UINT64_MAX >> (63 - last % 64);
		if ((map[word] & wanted) != wanted)
			return false;
	}
	return true;
}

/* Pages that have memory, as far as is known, and no object in use. */
static uint64_t pages_to_go(const struct slabs *s, const struct slab_class *c, uint32_t record)
{
	const uint64_t *map = slab_map(s, c, record);
	uint32_t page_bytes = 1u << s->page_shift;
	uint64_t pages = 0;

	for (uint32_t i = 0; i < 1u << c->order; i++) {
		uint32_t first = object_number(c, i * page_bytes);
		uint32_t last = object_number(c, (i + 1) * page_bytes - 16);

		if (last >= c->per_slab)
			last = c->per_slab - 1;
		/* What is left over at the end was never written. */
		if (first < c->per_slab && range_is_free(map, first, last))
			pages |= (uint64_t)1 << i;
	}
	return pages & ~slab_at(s, record)->unbacked;
}

/* ---- holding slabs ---- */

static void hold(struct slab_unback *u, uint32_t record, unsigned class)
{
	struct slabs *s = u->s;
	struct slab_class *c = &s->class[class];
	lock_token token = lock_acquire(&c->lock);
	struct slab *slab = slab_at(s, record);
	uint64_t pages = 0;

	/* It was read without the lock. */
	if (load_relaxed(&slab->class) == class && c->construct == NULL)
		pages = pages_to_go(s, c, record);
	if (pages != 0) {
		slab->flags |= SLAB_HELD;
		c->held_nr++;
		slab_file_locked(s, c, record);
		u->held[u->held_nr].pages = pages;
		u->held[u->held_nr].record = record;
		u->held[u->held_nr++].class = class;
	}
	lock_release(&c->lock, token);
}

/* The last slab that is held is no more; @gone of its pages have no memory now. */
static void let_go(struct slab_unback *u, uint64_t gone)
{
	uint32_t record = u->held[u->held_nr - 1].record;
	struct slab_class *c = &u->s->class[u->held[u->held_nr - 1].class];
	struct slab *slab = slab_at(u->s, record);
	lock_token token = lock_acquire(&c->lock);

	u->held_nr--;
	slab->unbacked |= gone;
	slab->flags &= (uint8_t)~SLAB_HELD;
	c->held_nr--;
	slab_file_locked(u->s, c, record);
	lock_release(&c->lock, token);
}

static char *page_addr_of(const struct slab_unback *u, unsigned held, unsigned page)
{
	return slab_addr(u->s, u->held[held].record) + ((size_t)page << u->s->page_shift);
}

/* ---- blocks ---- */

/* Whether the pages of a block that are held from @first on are worth taking.  Those that are free go as well. */
static bool is_worth(const struct slab_unback *u, unsigned first, uint32_t block)
{
	struct pages *p = pages_of(u->s->q);
	uint32_t n;

	if (huge_kind(&p->huge, block) != HUGE_ADVISED) /* a hint */
		return true;
	n = giveback_block_pages(p, block);
	for (unsigned i = first; i < u->held_nr; i++)
		for (uint64_t pages = u->held[i].pages; pages != 0; pages &= pages - 1)
			n++;
	return n >= (1u << p->pageblock_order) / HUGE_SHARE;
}

/* Adds those pages to the gather. */
static void add_pages(struct slab_unback *u, unsigned first, uint32_t block)
{
	struct pages *p = pages_of(u->s->q);
	size_t bytes = (size_t)1 << u->s->page_shift;
	bool split = page_advise_pieces(p, block, block + 1);

	for (unsigned i = first; i < u->held_nr; i++) {
		for (uint64_t pages = u->held[i].pages; pages != 0; pages &= pages - 1) {
			char *addr = page_addr_of(u, i, (unsigned)__builtin_ctzll(pages));

			if (split) /* once for the block */
				mem_split_huge(addr, bytes);
			split = false;
			page_unback(p, &u->gather, addr, bytes);
		}
	}
}

/* Holds what a block has of the classes, and adds its pages to the gather, if it is worth it. */
static void collect_block(struct slab_unback *u, uint32_t record, const uint64_t *classes)
{
	unsigned first = u->held_nr;

	for (uint32_t i = record; i < record + BLOCK_RECORDS && i < slabs_records(u->s); i++) {
		unsigned found = load_relaxed(&slab_at(u->s, i)->class); /* hold() checks it */

		if (found != 0 && (classes == NULL || (classes[found / 64] >> found % 64 & 1)))
			hold(u, i, found);
	}
	if (u->held_nr == first)
		return;
	if (is_worth(u, first, record / BLOCK_RECORDS)) {
		add_pages(u, first, record / BLOCK_RECORDS);
	} else {
		while (u->held_nr > first)
			let_go(u, 0);
	}
}

/* ---- the gather ---- */

static uint64_t pages_gone(const struct slab_unback *u, unsigned held)
{
	uint64_t gone = 0;

	for (uint64_t pages = u->held[held].pages; pages != 0; pages &= pages - 1)
		if (gather_gave_back(&u->gather,
				     page_addr_of(u, held, (unsigned)__builtin_ctzll(pages))))
			gone |= pages & -pages;
	return gone;
}

static bool all_went(const struct gather *gather)
{
	for (unsigned i = 0; i < gather->ranges_nr; i++)
		if (gather->ranges[i].error != 0)
			return false;
	return true;
}

static void begin(struct slab_unback *u)
{
	gather_begin(&u->gather, u->ranges, UNBACK_RANGES);
	gather_lend(&u->gather, u->vector, UNBACK_RANGES);
}

/* Takes the memory of what was collected, and lets all slabs go. */
static size_t finish(struct slab_unback *u)
{
	size_t bytes;
	bool all;

	if (u->held_nr == 0)
		return 0;
	bytes = gather_finish(&u->gather);
	all = all_went(&u->gather);
	while (u->held_nr != 0)
		let_go(u, all ? u->held[u->held_nr - 1].pages : pages_gone(u, u->held_nr - 1));
	begin(u);
	return bytes;
}

size_t objects_unback(struct slabs *s, const uint64_t *classes)
{
	struct slab_unback *u = s->unback;
	size_t bytes = 0;

	mutex_acquire(&s->unback_mutex);
	u->s = s;
	begin(u);
	for (uint32_t record = 0; record < slabs_records(s); record += BLOCK_RECORDS) {
		if (!slabs_meta_is_used(s, record)) {
			record += STEP_RECORDS - BLOCK_RECORDS;
			continue;
		}
		if (u->gather.ranges_nr + BLOCK_RANGES > u->gather.ranges_max ||
		    u->held_nr + BLOCK_RECORDS > UNBACK_SLABS)
			bytes += finish(u);
		collect_block(u, record, classes);
	}
	bytes += finish(u);
	bytes += slabs_meta_unback(s, &u->gather);
	mutex_release(&s->unback_mutex);
	return bytes;
}
