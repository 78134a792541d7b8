/* SPDX-License-Identifier: MIT */
/* percpu/refill.h - batches of objects between a CPU's stack and the maps: refill.c */
#ifndef PERCPU_REFILL_H
#define PERCPU_REFILL_H

#include "percpu/placement.h"

/* What a stack of the class keeps when it is open: a hint. */
uint32_t cache_keeps(const struct percpu *pc, uint32_t class);
/* To call when a free has found its stack full or cold, and when an allocation has found it empty. */
void cache_learn_free_locked(struct percpu *pc, uint32_t granules);
void cache_learn_alloc_locked(struct percpu *pc, uint32_t granules);
/* To call after such a free, without a lock.  If objects of this size are cached: opens this CPU's
 * stack, or lets it keep more, or returns half of a full one to the maps. */
void cache_after_free(struct percpu *pc, uint32_t granules);
/* To call when an allocation has found its stack empty.  Places the object and, on the stack, those
 * that will be wanted next.  0, or -EAGAIN: nothing was placed. */
int cache_refill(struct percpu *pc, const struct percpu_request *request, struct placed *placed);
/* To call when a stack of the class was idle: the size is not warm, and its stacks keep half as many from
 * their next opening on. */
void cache_forget(struct percpu *pc, uint32_t class);

/* Returns cached objects to the maps in one hold of the lock: CACHE_BATCH at most. */
void cache_give(struct percpu *pc, const uint32_t *granules, unsigned n);

#endif
