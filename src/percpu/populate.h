/* SPDX-License-Identifier: MIT */
/* percpu/populate.h - populating and depopulating pages, and the maps for them: populate.c */
#ifndef PERCPU_POPULATE_H
#define PERCPU_POPULATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct percpu;

/* Populates pages that are charged and for which maps are ready. */
void populate_locked(struct percpu *pc, uint32_t chunk, uint64_t pages);
/* Charges all pages but @charged of them, and populates all.  Returns 0, -EAGAIN if maps must be
 * created first, or -ENOMEM. */
int populate_try_locked(struct percpu *pc, uint32_t chunk, uint64_t pages, uint32_t charged,
			unsigned flags);
/* Gives back the empty pages of an isolated chunk.  Requires alloc_mutex; takes lock.  Returns the
 * number of page offsets given back, and sets *@bare if the chunk can be destroyed. */
size_t depopulate(struct percpu *pc, uint32_t chunk, bool all, bool *bare);

/* Makes maps for @pages pages ready.  Returns 0, -ENOMEM, or -EAGAIN while the end of the array is
 * being returned. */
int maps_ready_for(struct percpu *pc, uint64_t pages, unsigned flags);
/* Gives back the memory of maps that no page needs.  Requires alloc_mutex.  Returns bytes. */
size_t maps_trim(struct percpu *pc, bool all);

#endif
