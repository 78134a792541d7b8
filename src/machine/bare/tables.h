/* SPDX-License-Identifier: MIT */
/*
 * tables.h - the page tables of what may be reserved, 1 TiB to 64 TiB
 *
 * A page of 4 KiB that is committed has a mark in its entry, and gets a frame when it is touched.  All calls but
 * tables_flush() may be made in any context.
 */
#ifndef MACHINE_BARE_TABLES_H
#define MACHINE_BARE_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine/bare/frames.h"

#define TABLES_BEGIN (UINT64_C(1) << 40)
#define TABLES_END   (UINT64_C(1) << 46)

/* What is done to the pages of a range; those that were not committed are passed by. */
enum tables_change {
	TABLES_UNBACK,	/* lose their memory, and read zero */
	TABLES_UNMAP,	/* lose it, and are not committed any more */
	TABLES_GUARD,	/* lose it, and an access faults */
	TABLES_UNGUARD, /* read zero where they were guards */
};

/* What a batch of changes has left to do. */
struct tables_batch {
	frame_chain chain;
	size_t uncharged_nr;
	bool flush; /* some CPU may have a translation */
};

#define TABLES_BATCH_INIT                                                                          \
	{                                                                                          \
		.chain = FRAMES_END                                                                \
	}

/* Makes pages usable; of those that are usable already nothing changes.  False if there is no memory. */
bool tables_commit(uintptr_t addr, size_t bytes);
/* Makes pages that are not usable read zero. */
bool tables_commit_readonly(uintptr_t addr, size_t bytes);
void tables_change(uintptr_t addr, size_t bytes, enum tables_change change,
		   struct tables_batch *batch);
/* Once for a batch: when it returns, no CPU reaches the old memory, which is free. */
void tables_flush(struct tables_batch *batch);
/* Maps the frame of committed page @from at committed page @to, which has none.  */
void tables_alias(uintptr_t from, uintptr_t to);
/* Moves the frames of committed pages; those of the target are lost. */
void tables_move(uintptr_t from, uintptr_t to, size_t bytes, struct tables_batch *batch);
/* Whether any page of the range has memory. */
bool tables_has_memory(uintptr_t addr, size_t bytes);

/* A page fault: true if the page is committed and may be accessed now. */
bool tables_fault(uint64_t addr, uint64_t error);

#endif
