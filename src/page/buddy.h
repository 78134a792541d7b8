/* SPDX-License-Identifier: MIT */
/* page/buddy.h - merging and splitting of runs, inside blocks and above them; @zero: STATE_ZERO or 0 */
#ifndef PAGE_BUDDY_H
#define PAGE_BUDDY_H

#include <stdint.h>

struct pages;
struct zone;

/* Frees a run of any order, and merges it with its free buddies as far as they go. */
void buddy_free_locked(struct pages *p, struct zone *zone, uint32_t frame, unsigned order,
		       unsigned zero);
/*
 * Takes up to @n runs of @order from the partial blocks of a row, fullest block first; returns how
 * many.  Their state bytes say BUDDY (with ZERO if known) until the caller changes them, still under
 * the lock.
 */
unsigned buddy_take_partial_locked(struct pages *p, struct zone *zone, unsigned row, unsigned order,
				   uint32_t *frames, unsigned n);
/*
 * Takes the newest whole run of @row of at least @order, split down to it; what is cut off stays
 * whole.  Returns its frame or FRAME_NONE.  The state byte keeps ZERO for the caller to read.
 */
uint32_t buddy_take_whole_locked(struct pages *p, struct zone *zone, unsigned row, unsigned order);
/* Head of the free run that holds a frame, and its order; FRAME_NONE: the frame is in no free run. */
uint32_t buddy_head_locked(const struct pages *p, const struct zone *zone, uint32_t frame,
			   unsigned *order);
/* Takes frames [first, end), all free and of one isolated block, one by one; state CACHED, with ZERO if known. */
void buddy_take_range_locked(struct pages *p, struct zone *zone, uint32_t first, uint32_t end);
/* Makes a whole block that was just taken partial: puts its two halves on its lists. */
void buddy_break_locked(struct pages *p, struct zone *zone, uint32_t frame);

/* Puts a run of whole blocks on its whole list, merged with its buddies as far as their rows may mix. */
void buddy_whole_add_locked(struct pages *p, struct zone *zone, uint32_t frame, unsigned order,
			    unsigned zero);
/* Takes a run of whole blocks off its list.  The caller changes its state byte. */
void buddy_whole_remove_locked(struct pages *p, struct zone *zone, uint32_t frame, unsigned order);

#endif
