/* SPDX-License-Identifier: MIT */
/*
 * slab/fast.h - the fast paths, inlined into quire_cache_alloc() and malloc()
 *
 * Neither asks whether an address is ours, or whether its slab is emptying.  Of class 0, which is the byte of all that
 * is in no slab, every sheaf has no room, so its pushes and pops are refused for ever.  A push reads the
 * frame's byte again inside the sequence and expects the class alone, so it is refused if the slab is
 * emptying.
 */
#ifndef SLAB_FAST_H
#define SLAB_FAST_H

#include "base/check.h"
#include "base/whole.h"
#include "machine/atomic.h"
#include "machine/stack.h"
#include "slab/sheaf.h"
#include "slab/slab.h"

/* An object from this CPU's sheaf, or NULL: then sheaf_alloc_slow() as a tail call. */
static inline void *slab_alloc_fast(struct slabs *s, unsigned class)
{
	uint32_t entry = stack_pop_strided(&s->stacks.cpu, SLAB_STRIDE_SHIFT, class);

	return UNLIKELY(entry == STACK_NONE) ? NULL : s->base + ((size_t)entry << ENTRY_SHIFT);
}

/* The entry of an object that may begin at @ptr; larger than all if @ptr is not near, or no multiple of 16. */
static inline size_t slab_entry_of(const struct slabs *s, const void *ptr)
{
	return whole_index((uintptr_t)ptr - (uintptr_t)s->base, ENTRY_SHIFT);
}

/* What slabs->byte[] says of an address: 0 if it is in no slab, not near, or no multiple of 16. */
static inline unsigned slab_byte(const struct slabs *s, const void *ptr)
{
	size_t entry = slab_entry_of(s, ptr);

	return UNLIKELY(entry >= s->near_entries) ? 0
						  : load_relaxed(&s->byte[entry >> s->entry_shift]);
}

/* Pushes an entry on this CPU's sheaf, unless the byte of its frame, which @guard is, is not its class alone by
 * then. */
static inline bool slab_push(struct slabs *s, unsigned class, size_t entry, const uint8_t *guard)
{
	return stack_push_strided(&s->stacks.cpu, SLAB_STRIDE_SHIFT, class, (uint32_t)entry, guard,
				  (uint8_t) class);
}

/* Pushes it on this CPU's sheaf; @byte is what slab_byte() said.  False: then sheaf_free_slow() as a tail call,
 * unless @byte is 0. */
static inline bool slab_free_fast(struct slabs *s, void *ptr, unsigned byte)
{
	size_t entry = slab_entry_of(s, ptr);

	/* Where slab_byte() is inlined as well, this is its comparison. */
	return LIKELY(entry < s->near_entries) &&
	       slab_push(s, byte & (BYTE_EMPTYING - 1), entry, &s->byte[entry >> s->entry_shift]);
}

#endif
