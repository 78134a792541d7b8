/* SPDX-License-Identifier: MIT */
/* vmap/alloc.h - allocation behind the fast path */
#ifndef VMAP_ALLOC_H
#define VMAP_ALLOC_H

#include <stddef.h>
#include <stdint.h>

struct quire;
struct vmap_request;
struct vmap;

/* A busy range, ready for use; RANGE_NONE with *@error set. */
uint32_t vmap_alloc_range(struct vmap *v, struct vmap_request *request, int *error);
/* quire_vmalloc() for a caller that may do without: NULL with *@error, and errno as it was. */
void *vmap_alloc_area(struct quire *q, size_t bytes, unsigned flags, int *error);

/* The same for addresses that frames will be behind. */
uint32_t vmap_alloc_addresses(struct vmap *v, struct vmap_request *request, int *error);

#endif
