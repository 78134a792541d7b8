/* SPDX-License-Identifier: MIT */
/* malloc/coarse.h - classes that open when their sizes have earned it: coarse.c */
#ifndef MALLOC_COARSE_H
#define MALLOC_COARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "malloc/table.h"

struct slabs;

/* Keys: (c) constant once the heap is ready. */
struct malloc_coarse {
	struct slabs *slabs; /* (c) */
	uint8_t *class_of;   /* (c) the table; atomic, written under slabs->mutex */
	/* Atomic, relaxed, by class: 64 KiB by which another class grew for blocks of this one's sizes. */
	uint8_t grown[MALLOC_CLASSES_NR + 1];
};

/* Before any other call.  The table is as malloc_table_fill() left it. */
void malloc_coarse_begin(struct malloc_coarse *coarse, struct slabs *s, uint8_t *class_of);
/* True if @class has no object left in its slabs and its barn, so that it grows for the next one.  A hint. */
bool malloc_coarse_is_used_up(const struct malloc_coarse *coarse, unsigned class);
/* @class has grown for a block for @place.  A growth that was refused is none. */
void malloc_coarse_grown(struct malloc_coarse *coarse, unsigned class, size_t place);
/* @class would grow for a block for @place.  Returns the class to take that of: @class, or one that has opened for it.
 * What opens fits the size; it need not have the alignment that @class was chosen for.  Ordinary context, no lock of ours is
 * held. */
unsigned malloc_coarse_grows(struct malloc_coarse *coarse, unsigned class, size_t place);

#endif
