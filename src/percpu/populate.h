/* SPDX-License-Identifier: MIT */
/* percpu/populate.h - populating and depopulating pages, and the maps for them: populate.c */
#ifndef PERCPU_POPULATE_H
#define PERCPU_POPULATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct percpu;

/* Pages that are charged and have maps. */
void populate_locked(struct percpu *pc, uint32_t chunk, uint64_t pages);
/* Charges all but the first @charged, and populates them.  0; -EAGAIN: maps must be made; -ENOMEM. */
int populate_try_locked(struct percpu *pc, uint32_t chunk, uint64_t pages, uint32_t charged,
			unsigned flags);
/* Gives back the empty pages of an isolated chunk.  Under alloc_mutex; takes lock.  Returns page offsets that
 * went; *@bare: the chunk can be destroyed. */
size_t depopulate(struct percpu *pc, uint32_t chunk, bool all, bool *bare);

/* Makes maps for so many pages.  0; -ENOMEM; -EAGAIN: maps are on their way out. */
int maps_ready_for(struct percpu *pc, uint64_t pages, unsigned flags);
/* Gives back the memory of maps that no page needs.  Under alloc_mutex.  Returns bytes. */
size_t maps_trim(struct percpu *pc, bool all);

#endif
