/* SPDX-License-Identifier: MIT */
/* vmap/space.h - taking ranges of addresses from the trees, and returning them */
#ifndef VMAP_SPACE_H
#define VMAP_SPACE_H

#include <stdbool.h>
#include <stdint.h>

struct vmap_request;
struct vmap;

/* Return a busy range, or RANGE_NONE.  *@error is then -ENOSPC, -ENOMEM if the limit refused, or
 * -EAGAIN (request.h). */
uint32_t space_take_pooled_locked(struct vmap *v, struct vmap_request *request);
uint32_t space_take_free_locked(struct vmap *v, struct vmap_request *request, int *error);
/* Pools a range that is in no tree, and joins it with its pooled neighbours; takes a pooled range
 * out again. */
void space_pool_locked(struct vmap *v, uint32_t index, uint32_t stamp_ms);
void space_unpool_locked(struct vmap *v, uint32_t index);
/* Makes a range that is in no tree FREE.  Returns the number of pages to uncharge. */
uint64_t space_free_locked(struct vmap *v, uint32_t index);
/* Cuts a range that is in no tree after its first @pages.  Returns the rest, a range of the same
 * state. */
uint32_t space_cut_locked(struct vmap *v, uint32_t index, uint32_t pages);
/* Joins to a range that is in no tree the range that follows it. */
void space_join_locked(struct vmap *v, uint32_t index, uint32_t behind);
/* Grows a busy range into free or pooled addresses after it, if all of @pages are available. */
bool space_grow_locked(struct vmap *v, uint32_t index, uint32_t pages,
		       struct vmap_request *request);

#endif
