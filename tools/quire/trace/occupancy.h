/* SPDX-License-Identifier: MIT */
/*
 * occupancy.h - which 2 MiB blocks hold live pages, and of which types
 *
 * The same counting serves the kernel (pages named by frame numbers in the trace) and Quire (pages
 * named by their place in the instance), so that the two columns mean the same.  A block is
 * "pinned" while it holds at least one live page: it cannot be given back, or become one huge
 * page.  Each pinned block counts once: under its only type, or as mixed.
 */
#ifndef QUIRE_TOOL_OCCUPANCY_H
#define QUIRE_TOOL_OCCUPANCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum occupancy_type {
	OCCUPANCY_UNMOVABLE,
	OCCUPANCY_MOVABLE,
	OCCUPANCY_RECLAIMABLE,
	OCCUPANCY_TYPES_NR,
};

/* blocks_pinned = sum of blocks_of_type + blocks_mixed. */
struct occupancy_summary {
	uint64_t live_pages;
	uint64_t blocks_pinned;
	uint64_t blocks_mixed;
	uint64_t blocks_of_type[OCCUPANCY_TYPES_NR]; /* that hold this type and no other */
};

/* A run of live pages: 2^order, aligned to its own length. */
struct occupancy_run {
	uint64_t page;
	unsigned order;
	enum occupancy_type type;
};

struct occupancy_block;

struct occupancy {
	struct occupancy_summary summary;
	unsigned block_order;
	struct occupancy_block **leaves; /* made as pages in them come to life */
};

/* Page numbers are below this: 16 TiB of 4 KiB pages. */
#define OCCUPANCY_PAGES_MAX ((uint64_t)1 << 32)

/* Blocks of 2^@block_order pages, at most 9.  0 or -ENOMEM.  Pair: occupancy_fini(). */
int occupancy_init(struct occupancy *occupancy, unsigned block_order);
void occupancy_fini(struct occupancy *occupancy);

/*
 * The run comes to life.  0, or with nothing changed: -ERANGE beyond OCCUPANCY_PAGES_MAX, -EINVAL
 * not aligned, -EEXIST a page of it is live already, -ENOMEM.
 */
int occupancy_add(struct occupancy *occupancy, struct occupancy_run run);

/* Pair of occupancy_add(); a run may also be removed in aligned parts. */
void occupancy_remove(struct occupancy *occupancy, struct occupancy_run run);

#endif
