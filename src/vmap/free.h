/* SPDX-License-Identifier: MIT */
/* vmap/free.h - freeing an area when the fast path fails */
#ifndef VMAP_FREE_H
#define VMAP_FREE_H

#include <stdint.h>

struct vmap;

/* Returns the busy range of @kind that begins at @addr; if there is none, reports misuse and
 * stops. */
uint32_t vmap_check_free(struct vmap *v, const void *addr, unsigned kind, const char *function);
/* Frees a range (CACHED) that the fast path could not push. */
void vmap_free_range(struct vmap *v, uint32_t index);

#endif
