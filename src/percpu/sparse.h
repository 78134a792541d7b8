/* SPDX-License-Identifier: MIT */
/* percpu/sparse.h - clearing only copies that memory was ever put behind: sparse.c */
#ifndef PERCPU_SPARSE_H
#define PERCPU_SPARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct percpu;
struct place;

/* With more units than that a look at every copy is worth avoiding: below, what it could save is
 * seven pages for each that is written. */
#define DENSE_UNITS 8u

/* Pages that are populated now: no unit has memory there. */
void sparse_populate_locked(struct percpu *pc, uint32_t chunk, uint64_t pages);
/* Clears an object that its user was not handed yet.  @seen: its pages were when it was placed; @for_all: it
 * may take lock, so that its look serves others. */
void sparse_zero(struct percpu *pc, struct place place, size_t bytes, bool seen, bool for_all);

#endif
