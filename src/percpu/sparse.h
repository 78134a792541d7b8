/* SPDX-License-Identifier: MIT */
/* percpu/sparse.h - clearing only the copies that may have memory: sparse.c */
#ifndef PERCPU_SPARSE_H
#define PERCPU_SPARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct percpu;
struct place;

/* With more units than this, it pays to avoid reading every copy.  With fewer, it would save at
 * most seven pages for each page that is written. */
#define DENSE_UNITS 8u

/* Notes that @pages were just populated, so no unit has memory there. */
void sparse_populate_locked(struct percpu *pc, uint32_t chunk, uint64_t pages);
/* Clears a new object before it is handed out.  @seen: its pages were PAGE_SEEN when it was
 * placed.  @for_all: the function may take lock, so that its look serves other callers too. */
void sparse_zero(struct percpu *pc, struct place place, size_t bytes, bool seen, bool for_all);

#endif
