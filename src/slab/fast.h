/* SPDX-License-Identifier: MIT */
/* slab/fast.h - the fast paths, inlined into quire_cache_alloc() and malloc() */
#ifndef SLAB_FAST_H
#define SLAB_FAST_H

#include "base/check.h"
#include "machine/stack.h"
#include "slab/sheaf.h"
#include "slab/slab.h"

/* An object from this CPU's sheaf, or NULL: then sheaf_alloc_slow() as a tail call. */
static inline void *slab_alloc_fast(struct slabs *s, unsigned class)
{
	uint32_t entry = stack_pop_strided(&s->stacks.cpu, SLAB_STRIDE_SHIFT, class);

	return UNLIKELY(entry == STACK_NONE) ? NULL : s->base + ((size_t)entry << ENTRY_SHIFT);
}

/* What slabs->byte[] says of an address: 0 if it is in no slab, or not near. */
static inline unsigned slab_byte(const struct slabs *s, const void *ptr)
{
	size_t offset = (uintptr_t)ptr - (uintptr_t)s->base;

	return UNLIKELY(offset >= s->near_bytes) ? 0
						 : load_relaxed(&s->byte[offset >> s->page_shift]);
}

/* Pushes it on this CPU's sheaf.  False: then sheaf_free_slow() as a tail call. */
static inline bool slab_free_fast(struct slabs *s, void *ptr, unsigned byte)
{
	size_t offset = (uintptr_t)ptr - (uintptr_t)s->base;

	return byte < BYTE_EMPTYING &&
	       stack_push_strided(&s->stacks.cpu, SLAB_STRIDE_SHIFT, byte,
				  (uint32_t)(offset >> ENTRY_SHIFT),
				  &s->byte[offset >> s->page_shift], (uint8_t)byte);
}

#endif
