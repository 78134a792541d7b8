/* SPDX-License-Identifier: MIT */
/*
 * frames.h - the machine's memory, in frames of 4 KiB
 *
 * A frame is counted as often as page tables name it, and is free at 0.  Frames whose count has reached 0 are kept
 * in a chain until no CPU can have a translation to them, and are put back then.
 *
 * Memory is charged before it is taken: what was charged can be taken later without a refusal.
 */
#ifndef MACHINE_BARE_FRAMES_H
#define MACHINE_BARE_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_SHIFT 12
#define FRAME_BYTES ((size_t)1 << FRAME_SHIFT)

#define FRAMES_END UINT32_MAX

/* The first frame of a chain; the others follow in a table, since the frames themselves may still be written to. */
typedef uint32_t frame_chain;

/* Takes over the memory from @start to @end. */
void frames_begin(uintptr_t start, uintptr_t end);
size_t frames_nr(void);

bool frames_charge(size_t nr);
void frames_uncharge(size_t nr);

/* Of charged memory; reads zero; counted once. */
uint32_t frame_take(void);
void frame_count_again(uint32_t frame);
/* Counts it once less; it joins the chain at 0. */
void frame_drop(uint32_t frame, frame_chain *chain);
void frames_put(frame_chain chain);

static inline void *frame_address(uint32_t frame)
{
	return (void *)((uintptr_t)frame << FRAME_SHIFT);
}

#endif
