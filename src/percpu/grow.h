/* SPDX-License-Identifier: MIT */
/* percpu/grow.h - chunks and maps made for an allocation that missed them: grow.c */
#ifndef PERCPU_GROW_H
#define PERCPU_GROW_H

#include <stdint.h>

struct percpu;

/* What must be made before another attempt. */
struct want {
	uint32_t chunk; /* the chunk of that number, or NONE */
	uint64_t maps;	/* so many */
};

/* What an allocation lacks that was not placed: @missing pages' maps, or for 0 a chunk. */
struct want grow_want_locked(const struct percpu *pc, uint32_t missing);
/* Makes it.  0: it is there, or somebody was faster: look again.  -ENOMEM, -ENOSPC; -EAGAIN: @flags forbid
 * what it takes. */
int grow_make(struct percpu *pc, const struct want *want, unsigned flags);
/* The same by the holder of alloc_mutex. */
int grow_make_held(struct percpu *pc, const struct want *want);

#endif
