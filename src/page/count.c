/* SPDX-License-Identifier: MIT */
/*
 * page/count.c - pages counted by what their heads say
 *
 * What is allocated is a difference of other figures wherever that is enough: no fast path counts.  Here it is
 * counted, from the state bytes, so that a page that was lost makes a difference (B1).  Heads
 * change meanwhile: one that does is counted as one or the other, and of a run that is split or merged
 * a part is missed, or counted twice.
 */
#include "page/count.h"

#include "page/block.h"
#include "page/layout.h"
#include "page/pages.h"
#include "page/state.h"
#include "page/zone.h"

static void add_run(struct block_count *block, unsigned state)
{
	uint64_t pages = (uint64_t)1 << (state & STATE_ORDER);

	switch (state & STATE_KIND) {
	case STATE_ALLOCATED:
		block->allocated += pages;
		break;
	case STATE_CACHED:
		block->cached += pages;
		break;
	case STATE_DEFERRED:
		block->deferred += pages;
		break;
	case STATE_BUDDY:
		block->unbacked += state & STATE_ZERO ? pages : 0;
		break;
	default: /* tails, which a torn look may meet, and what is on its way or away */
		break;
	}
}

/* The runs that begin in [*frame, end); *frame is then where the next one begins. */
static void count_block(const struct pages *p, uint32_t *frame, uint32_t end,
			struct block_count *block)
{
	*block = (struct block_count){ .allocated = 0 };
	while (*frame < end) {
		unsigned state = page_state(p, *frame);

		add_run(block, state);
		*frame += 1u << (state & STATE_ORDER);
	}
}

/* What page_count_states() fills. */
struct states {
	const struct pages *p;
	struct page_count *count;
};

static void add_block(uint32_t index, const struct block_count *block, void *arg)
{
	const struct states *states = arg;
	struct page_count *count = states->count;

	(void)index;
	count->allocated += block->allocated;
	count->cached += block->cached;
	count->deferred += block->deferred;
	if (block->allocated == 0)
		return;
	count->pinned += block->unbacked;
	if (block->allocated * SPARSE_PARTS >= block_pages(states->p))
		return;
	count->sparse_blocks++;
	count->sparse_used += block->allocated;
	count->sparse_rest += block_pages(states->p) - block->allocated;
}

/* A block at a time: one that comes online is written as a whole, under the lock. */
void page_count_blocks(const struct pages *p, struct zone *zone,
		       void (*take)(uint32_t block, const struct block_count *count, void *arg),
		       void *arg)
{
	/* A hint: state bytes beyond it read zero. */
	uint32_t blocks = load_relaxed(&zone->blocks_touched);
	uint32_t frame = block_frame(p, zone->block_first);

	for (uint32_t block = zone->block_first; block < zone->block_first + blocks; block++) {
		struct block_count one;
		lock_token token = lock_acquire(&zone->lock);

		count_block(p, &frame, block_frame(p, block + 1), &one);
		one.online = p->block[block].online;
		lock_release(&zone->lock, token);
		take(block, &one, arg);
	}
}

void page_count_states(struct pages *p, struct page_count *count)
{
	struct states states = { .p = p, .count = count };

	*count = (struct page_count){ .allocated = 0 };
	for (unsigned i = 0; i < p->zones_nr; i++)
		page_count_blocks(p, &p->zone[i], add_block, &states);
}
