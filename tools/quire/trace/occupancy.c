/* SPDX-License-Identifier: MIT */
#include "trace/occupancy.h"

#include <errno.h>
#include <stdlib.h>

/* A leaf is created whole at its first page.  Its 4,096 blocks cover 8 GiB and take 288 KiB, of
 * which the system backs only the pages that are touched. */
#define LEAF_SHIFT	12
#define LEAF_BLOCKS_NR	(1u << LEAF_SHIFT)
#define BLOCK_ORDER_MAX 9
#define WORDS_NR	((1u << BLOCK_ORDER_MAX) / 64)
#define PAGES_SHIFT	32

struct occupancy_block {
	uint64_t live[WORDS_NR]; /* a bit a page */
	uint16_t live_pages[OCCUPANCY_TYPES_NR];
};

int occupancy_init(struct occupancy *occupancy, unsigned block_order)
{
	*occupancy = (struct occupancy){ .block_order = block_order };
	occupancy->leaves = calloc((size_t)1 << (PAGES_SHIFT - block_order - LEAF_SHIFT),
				   sizeof(occupancy->leaves[0]));
	return occupancy->leaves != NULL ? 0 : -ENOMEM;
}

void occupancy_fini(struct occupancy *occupancy)
{
	size_t leaves_nr = (size_t)1 << (PAGES_SHIFT - occupancy->block_order - LEAF_SHIFT);

	for (size_t i = 0; occupancy->leaves != NULL && i < leaves_nr; i++)
		free(occupancy->leaves[i]);
	free(occupancy->leaves);
	occupancy->leaves = NULL;
}

/* The block that holds a page; NULL if memory ran out. */
static struct occupancy_block *block_of(struct occupancy *occupancy, uint64_t page)
{
	uint64_t block = page >> occupancy->block_order;
	struct occupancy_block **leaf = &occupancy->leaves[block >> LEAF_SHIFT];

	if (*leaf == NULL)
		*leaf = calloc(LEAF_BLOCKS_NR, sizeof(**leaf));
	return *leaf == NULL ? NULL : &(*leaf)[block & (LEAF_BLOCKS_NR - 1)];
}

/* Adds @change blocks, 1 or -1 as uint64_t, to what this one counts under. */
static void count_block(struct occupancy_summary *summary, const struct occupancy_block *block,
			uint64_t change)
{
	unsigned types_nr = 0;
	unsigned last = 0;

	for (unsigned type = 0; type < OCCUPANCY_TYPES_NR; type++) {
		if (block->live_pages[type] > 0) {
			types_nr++;
			last = type;
		}
	}
	if (types_nr > 0)
		summary->blocks_pinned += change;
	if (types_nr > 1)
		summary->blocks_mixed += change;
	if (types_nr == 1)
		summary->blocks_of_type[last] += change;
}

/* The bits of @pages_nr pages from @first in its word; runs are aligned, so they share it. */
static uint64_t word_mask(unsigned first, unsigned pages_nr)
{
	uint64_t ones = pages_nr >= 64 ? UINT64_MAX : ((uint64_t)1 << pages_nr) - 1;

	return ones << (first % 64);
}

static bool is_any_live(const struct occupancy_block *block, unsigned first, unsigned pages_nr)
{
	for (unsigned page = first; page < first + pages_nr; page += 64)
		if (block->live[page / 64] & word_mask(page, pages_nr))
			return true;
	return false;
}

/* Flips the pages' bits and counts them: the callers know that all were equal. */
static void flip_pages(struct occupancy *occupancy, struct occupancy_block *block,
		       struct occupancy_run run, bool live)
{
	unsigned first = (unsigned)(run.page & ((1u << occupancy->block_order) - 1));
	unsigned pages_nr = 1u << run.order;

	count_block(&occupancy->summary, block, (uint64_t)-1);
	for (unsigned page = first; page < first + pages_nr; page += 64)
		block->live[page / 64] ^= word_mask(page, pages_nr);
	if (live) {
		block->live_pages[run.type] = (uint16_t)(block->live_pages[run.type] + pages_nr);
		occupancy->summary.live_pages += pages_nr;
	} else {
		block->live_pages[run.type] = (uint16_t)(block->live_pages[run.type] - pages_nr);
		occupancy->summary.live_pages -= pages_nr;
	}
	count_block(&occupancy->summary, block, 1);
}

/* The part of a run that lies in its @index-th block: runs may be longer than a block. */
static struct occupancy_run run_part(const struct occupancy *occupancy, struct occupancy_run run,
				     unsigned index)
{
	if (run.order > occupancy->block_order) {
		run.order = occupancy->block_order;
		run.page += (uint64_t)index << run.order;
	}
	return run;
}

static unsigned run_parts(const struct occupancy *occupancy, struct occupancy_run run)
{
	return run.order > occupancy->block_order ? 1u << (run.order - occupancy->block_order) : 1;
}

int occupancy_add(struct occupancy *occupancy, struct occupancy_run run)
{
	uint64_t pages_nr = (uint64_t)1 << run.order;
	unsigned parts = run_parts(occupancy, run);

	if (run.page > OCCUPANCY_PAGES_MAX - pages_nr)
		return -ERANGE;
	if (run.page & (pages_nr - 1))
		return -EINVAL;
	for (unsigned i = 0; i < parts; i++) {
		struct occupancy_run part = run_part(occupancy, run, i);
		struct occupancy_block *block = block_of(occupancy, part.page);
		unsigned first = (unsigned)(part.page & ((1u << occupancy->block_order) - 1));

		if (block == NULL)
			return -ENOMEM;
		if (is_any_live(block, first, 1u << part.order))
			return -EEXIST;
	}
	for (unsigned i = 0; i < parts; i++) {
		struct occupancy_run part = run_part(occupancy, run, i);

		flip_pages(occupancy, block_of(occupancy, part.page), part, true);
	}
	return 0;
}

void occupancy_remove(struct occupancy *occupancy, struct occupancy_run run)
{
	unsigned parts = run_parts(occupancy, run);

	for (unsigned i = 0; i < parts; i++) {
		struct occupancy_run part = run_part(occupancy, run, i);

		flip_pages(occupancy, block_of(occupancy, part.page), part, false);
	}
}
