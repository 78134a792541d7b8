/* SPDX-License-Identifier: MIT */
/* vmap/alloc.h - allocating an area when the fast path fails */
#ifndef VMAP_ALLOC_H
#define VMAP_ALLOC_H

#include <stddef.h>
#include <stdint.h>

struct quire;
struct vmap_request;
struct vmap;

/* Returns a busy range, ready for use, or RANGE_NONE with *@error set. */
uint32_t vmap_alloc_range(struct vmap *v, struct vmap_request *request, int *error);
/* As quire_vmalloc(), for a caller that can do without the area: if refused, returns NULL with
 * *@error set, and leaves errno unchanged. */
void *vmap_alloc_area(struct quire *q, size_t bytes, unsigned flags, int *error);

/* As vmap_alloc_area(), but only of what is cached.  There are areas. */
void *vmap_alloc_cached(struct quire *q, size_t bytes, unsigned flags);

/* As vmap_alloc_range(), for addresses where frames will be mapped. */
uint32_t vmap_alloc_addresses(struct vmap *v, struct vmap_request *request, int *error);

#endif
