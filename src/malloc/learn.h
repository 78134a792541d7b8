/* SPDX-License-Identifier: MIT */
/* malloc/learn.h - classes for sizes that a program turns out to use most: learn.c */
#ifndef MALLOC_LEARN_H
#define MALLOC_LEARN_H

#include <stddef.h>
#include <stdint.h>

#include "malloc/table.h"

struct slabs;

/* Classes that may be learnt: the others of CLASSES_MAX are for caches. */
#define LEARN_MAX 8u

/* Keys: (c) constant once the heap is ready; (m) under slabs->mutex. */
struct malloc_learn {
	struct slabs *slabs; /* (c) */
	uint8_t *class_of;   /* (c) the table; atomic, written under slabs->mutex */
	uint32_t
		nr; /* (m) classes that were learnt, or LEARN_MAX once no class can be had; read as a hint */
	/* Atomic, relaxed, by place: 64 KiB by which the class that stands there grew for a block of that
	 * size.  Approximate, and at most UINT16_MAX. */
	uint16_t grown[TABLE_ENTRIES];
};

/* Before any other call. */
void malloc_learn_begin(struct malloc_learn *l, struct slabs *s, uint8_t *class_of);
/* Slabs of @class; read before an allocation and after it. */
uint64_t malloc_learn_slabs(const struct malloc_learn *l, unsigned class);
/* @class grew by @slabs_nr slabs when a block for @place was allocated.  Learns a class if that is worth it.  Ordinary
 * context, no lock of ours is held. */
void malloc_learn_grown(struct malloc_learn *l, unsigned class, size_t place, uint64_t slabs_nr);

#endif
