/* SPDX-License-Identifier: MIT */
/* vmap/space.h - taking ranges out of the span, and returning them */
#ifndef VMAP_SPACE_H
#define VMAP_SPACE_H

#include <stdbool.h>
#include <stdint.h>

struct vmap_request;
struct vmap;

/* A busy range, or RANGE_NONE.  *@error: -ENOSPC, -ENOMEM if the limit refused, or -EAGAIN (above). */
uint32_t space_take_pooled_locked(struct vmap *v, struct vmap_request *request);
uint32_t space_take_free_locked(struct vmap *v, struct vmap_request *request, int *error);
/* A range in no tree becomes POOLED, joined with its pooled neighbours; and is taken out again. */
void space_pool_locked(struct vmap *v, uint32_t index, uint32_t stamp_ms);
void space_unpool_locked(struct vmap *v, uint32_t index);
/* Not in a tree any more -> FREE.  Returns pages to uncharge. */
uint64_t space_free_locked(struct vmap *v, uint32_t index);
/* Cuts a range that is in no tree after @pages of it; the rest is a range like it. */
uint32_t space_cut_locked(struct vmap *v, uint32_t index, uint32_t pages);
/* Joins to a range that is in no tree the one right behind it. */
void space_join_locked(struct vmap *v, uint32_t index, uint32_t behind);
/* Lengthens a busy range into what is free or pooled behind it, if all of @pages can be had. */
bool space_grow_locked(struct vmap *v, uint32_t index, uint32_t pages,
		       struct vmap_request *request);

#endif
