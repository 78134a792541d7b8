/* SPDX-License-Identifier: MIT */
/*
 * map.h - which part of an address space was in use when
 *
 * Blocks are collected as stretches of places and of time.  In the end the addresses that were never used are
 * left out, the others are folded into at most MAP_ROWS rows, and each cell says how full its row was in its time,
 * in eighths.  A block counts in full in each column in which it lived at all.
 */
#ifndef QUIRE_TOOL_REPORT_MAP_H
#define QUIRE_TOOL_REPORT_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAP_ROWS    64u
#define MAP_COLUMNS 1024u
#define MAP_SHADES  8u

/* Granules of the kernel's map and of Quire's, which stand beside each other: a pageblock, and pages of the vmalloc space. */
#define PAGEBLOCK_SHIFT	   21u
#define AREA_GRANULE_PAGES 16u

struct map_stretch {
	uint64_t place, length; /* in the unit of the map */
	uint16_t begin, end;	/* columns, both inclusive */
};

struct map {
	struct map_stretch *stretches;
	size_t nr, room;
	bool is_short; /* memory ran out: some are missing */

	/* Set by map_end(). */
	unsigned rows_nr;
	uint64_t granules_nr;	       /* that were used */
	uint64_t granule;	       /* its length */
	uint64_t capacity;	       /* the most of it that can be used */
	uint64_t row_granules;	       /* to a row */
	uint8_t (*cells)[MAP_COLUMNS]; /* by row; 0: empty, MAP_SHADES: full */
};

void map_add(struct map *map, struct map_stretch stretch);
/* Folds what was collected; @granule is the least that is shown, and at most @capacity of it is used.  Without memory, or without
 * a stretch, there are no rows. */
void map_end(struct map *map, uint64_t granule, uint64_t capacity);
/* The fullest of @nr cells. */
unsigned map_shade(const struct map *map, unsigned row, unsigned column, unsigned nr);
void map_fini(struct map *map);

#endif
