/* SPDX-License-Identifier: MIT */
/* percpu/grow.h - creating chunks and maps for an allocation that needs them: grow.c */
#ifndef PERCPU_GROW_H
#define PERCPU_GROW_H

#include <stdint.h>

struct percpu;

/* What must be created before another attempt. */
struct want {
	uint32_t chunk; /* number of the chunk to create, or NONE */
	uint64_t maps;	/* number of maps that must exist */
};

/* What an allocation needs that could not be placed: maps for @missing pages, or if that is 0 a
 * chunk. */
struct want grow_want_locked(const struct percpu *pc, uint32_t missing);
/* Creates it.  Returns 0 if it exists now, or another caller was faster: search again.  Else
 * -ENOMEM, -ENOSPC, or -EAGAIN if @flags forbid the necessary calls. */
int grow_make(struct percpu *pc, const struct want *want, unsigned flags);
/* The same for the holder of alloc_mutex. */
int grow_make_held(struct percpu *pc, const struct want *want);

#endif
