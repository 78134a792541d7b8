/* SPDX-License-Identifier: MIT */
/* percpu/place.h - places in per-CPU memory */
#ifndef PERCPU_PLACE_H
#define PERCPU_PLACE_H

#include "percpu/percpu.h"

static inline uint32_t page_number(const struct percpu *pc, uint32_t chunk, uint32_t page)
{
	return chunk << pc->pages_shift | page;
}

/* CPU 0's copy of a byte of a chunk's unit. */
static inline char *unit_addr(const struct percpu *pc, uint32_t chunk, uint32_t byte)
{
	uint64_t linear = ((uint64_t)chunk << pc->unit_shift) + byte;

	return pc->base + (linear >> 20 << pc->window_shift) + (linear & ((1u << 20) - 1));
}

/* The linear byte of an address of CPU 0's copies, or UINT64_MAX if it is none. */
static inline uint64_t addr_linear(const struct percpu *pc, const void *ptr)
{
	uintptr_t offset = (uintptr_t)ptr - (uintptr_t)pc->base;
	uintptr_t inside = offset & (((uintptr_t)1 << pc->window_shift) - 1);

	if (UNLIKELY(offset >= pc->span_bytes || inside >> 20 != 0))
		return UINT64_MAX;
	return (uint64_t)(offset >> pc->window_shift) << 20 | inside;
}

/* What the home CPU's copy of a cached object begins with; never 0.  @ptr: CPU 0's copy. */
static inline uint64_t cache_mark(const struct percpu *pc, const void *ptr)
{
	return (uintptr_t)ptr ^ pc->secret;
}

#endif
