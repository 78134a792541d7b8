/* SPDX-License-Identifier: MIT */
/*
 * malloc/countdown.h - how allocations are counted down to the next one that a layer samples
 *
 * A layer that samples sets small_end to zero, so that malloc() goes to malloc_cold(), which counts and pops from the
 * sheaf all the same, and leaves to the layer what is due.  A layer counts the calls that it gets itself:
 * countdown_due().  With sequences each CPU has a count of its own; a thread that is moved between its load and its store
 * undoes what was counted there in between.
 */
#ifndef MALLOC_COUNTDOWN_H
#define MALLOC_COUNTDOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/lean.h"
#include "malloc/heap.h"

#define COUNTDOWN_CLASS 127u /* its header has the countdown of a CPU as its top, and refuses */

struct malloc_countdown {
	size_t end;	 /* atomic: malloc_cold() counts below it, and looks for a sheaf */
	size_t mask;	 /* atomic: a block counts 1 and these bits of its size: none, or all */
	uint32_t left;	 /* atomic: the count where there are no sequences */
	uint64_t random; /* atomic: two threads may draw the same number */
};
extern struct malloc_countdown malloc_countdown __attribute__((visibility("hidden")));

/* Before the first draw. */
void countdown_begin(void);
/* A number that programs do not meet by rhythm. */
uint64_t countdown_random(void);
/* Counts an allocation.  True: it is the one, and @draw() says how much is counted to the next one, at least 1. */
bool countdown_due(size_t bytes, uint32_t (*draw)(void));

/* A block of at least @bytes from the sheaf.  NULL, and nothing is counted: it may be due, or there is none.  Only if there
 * are sequences. */
static inline void *countdown_pop(size_t bytes)
{
	const struct lean_stacks *lean = &malloc_heap.lean;
	uint32_t *left = &lean_header(lean, lean_slot(lean), COUNTDOWN_CLASS)->top;
	uint32_t step = (uint32_t)(bytes & load_relaxed(&malloc_countdown.mask)) + 1; /* small */
	uint32_t before = load_relaxed(left);
	void *block;

	if (UNLIKELY(before <= step))
		return NULL;
	block = lean_pop(lean, load_relaxed(&malloc_heap.class_of[table_place(bytes)]));
	if (LIKELY(block != NULL))
		store_relaxed(left, before - step);
	return block;
}

#endif
