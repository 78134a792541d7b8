/* SPDX-License-Identifier: MIT */
/*
 * slab/fast.h - the fast paths, inlined into quire_cache_alloc() and malloc()
 *
 * Neither asks whether an address is ours, or whether its slab is emptying: a frame's byte names a header of the
 * CPU's region.  Those of byte 0, which is in no slab, and of bytes with BYTE_EMPTYING are never set up, so
 * they refuse for ever.
 */
#ifndef SLAB_FAST_H
#define SLAB_FAST_H

#include "base/check.h"
#include "base/whole.h"
#include "machine/atomic.h"
#include "machine/lean.h"
#include "slab/sheaf.h"
#include "slab/slab.h"

/* An object from this CPU's sheaf, or NULL: then sheaf_alloc_slow() as a tail call. */
static inline void *slab_alloc_fast(struct slabs *s, unsigned class)
{
	return lean_pop(s->lean, class);
}

/* Where an object may begin, in units of 16 bytes; larger than all if @ptr is not ours, or no multiple of 16. */
static inline size_t slab_entry_of(const struct slabs *s, const void *ptr)
{
	return whole_index((uintptr_t)ptr - (uintptr_t)s->base, ENTRY_SHIFT);
}

/* What slabs->byte[] says of an address: 0 if it is in no slab, or no multiple of 16. */
static inline unsigned slab_byte(const struct slabs *s, const void *ptr)
{
	size_t entry = slab_entry_of(s, ptr);

	return UNLIKELY(entry >= s->entries) ? 0 : load_relaxed(&s->byte[entry >> s->entry_shift]);
}

/* Pushes it on this CPU's sheaf; @byte is what slab_byte() said.  False: then sheaf_free_slow() as a tail call,
 * unless @byte is 0. */
static inline bool slab_free_fast(struct slabs *s, void *ptr, unsigned byte)
{
	return lean_push(s->lean, byte, ptr);
}

#endif
