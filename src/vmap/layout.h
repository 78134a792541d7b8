/* SPDX-License-Identifier: MIT */
/* vmap/layout.h - addresses, pages and ranges of the span, computed from one another */
#ifndef VMAP_LAYOUT_H
#define VMAP_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "vmap/vmap.h"
#include "vmap/range.h"

static inline struct range *range_at(const struct vmap *v, uint32_t index)
{
	return (struct range *)(void *)(v->pool.base + (size_t)index * sizeof(struct range));
}

static inline void *range_addr(const struct vmap *v, const struct range *range)
{
	return v->base + ((size_t)range->start << v->page_shift);
}

static inline uint32_t page_at(const struct vmap *v, const void *addr)
{
	return (uint32_t)(((uintptr_t)addr - (uintptr_t)v->base) >> v->page_shift);
}

#endif
