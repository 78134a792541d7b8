/* SPDX-License-Identifier: MIT */
/*
 * program_live.h - what the processes of a recording have: of each kind of allocation, by process and address
 *
 * Each change is a record.
 */
#ifndef QUIRE_TOOL_RECORD_PROGRAM_LIVE_H
#define QUIRE_TOOL_RECORD_PROGRAM_LIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "malloc/ring.h"
#include "record/live_counts.h"
#include "record/live_map.h"
#include "trace/katr_writer.h"

struct program_live {
	struct katr_writer *writer;
	struct live_map map[KATR_KINDS_NR]; /* by place */
	struct live_counts counts[KATR_KINDS_NR];
	bool no_memory;
};

/* An allocation, or one that was refused. */
struct program_block {
	enum katr_kind kind;
	uint64_t place;
	uint64_t bytes;
	uint32_t class_index;
	uint32_t instance; /* of its process; 0: malloc's */
};

/*
 * One number for an address, or a thread, and its process.  Of more than 65,536 processes some share their places, and
 * the later one ends what the earlier had: program_live_end_process().
 */
static inline uint64_t program_place(uint32_t process, uint64_t address)
{
	return address ^ (uint64_t)process << RING_ADDRESS_BITS;
}

/* What is at the place already ends: its free was lost. */
void program_live_begin(struct program_live *live, struct katr_moment at,
			const struct program_block *block);
void program_live_refuse(struct program_live *live, struct katr_moment at,
			 const struct program_block *block);
/* If nothing begins at the place, that is counted. */
void program_live_end(struct program_live *live, struct katr_moment at, enum katr_kind kind,
		      uint64_t place);
/* The order of the pages' block that begins at the place; -1: none does. */
int program_live_order(const struct program_live *live, uint64_t place);
/* Makes two blocks of pages of the one of @order, at least 1, that begins at the place. */
void program_live_halve(struct program_live *live, struct katr_moment at, uint64_t place,
			unsigned order);
/* What the process had is gone: another program begins in it, or it has ended. */
void program_live_end_process(struct program_live *live, struct katr_moment at, uint32_t process);
/* The same of one of its instances. */
void program_live_end_instance(struct program_live *live, struct katr_moment at, uint32_t process,
			       uint32_t instance);
/* The figures of each kind that was seen. */
void program_live_put_info(const struct program_live *live);
void program_live_fini(struct program_live *live);

#endif
