/* SPDX-License-Identifier: MIT */
/* slab/unback.h - room for one gather over the pages of slabs: unback.c */
#ifndef SLAB_UNBACK_H
#define SLAB_UNBACK_H

#include <stdint.h>

#include "machine/mem.h"

/* Pages of 4 KiB in a block of 2 MiB, of which every second one goes: the most ranges that a block makes. */
#define BLOCK_RANGES  256u
#define UNBACK_RANGES (2 * BLOCK_RANGES)
#define UNBACK_SLABS  256u

/* In the reservation of meta.c, under slabs->unback_mutex. */
struct slab_unback {
	struct slabs *s;
	struct gather gather;
	unsigned held_nr;
	struct {
		uint64_t pages; /* of the slab, that go */
		uint32_t record;
		uint32_t class;
	} held[UNBACK_SLABS];
	struct mem_range ranges[UNBACK_RANGES];
	struct mem_vector vector[UNBACK_RANGES];
};

#endif
