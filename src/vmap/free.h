/* SPDX-License-Identifier: MIT */
/* vmap/free.h - the free behind the fast path */
#ifndef VMAP_FREE_H
#define VMAP_FREE_H

#include <stdint.h>

struct vmap;

/* The busy range of @kind that begins at @addr, or stops with the rule broken. */
uint32_t vmap_check_free(struct vmap *v, const void *addr, unsigned kind, const char *function);
/* Where a range (CACHED) goes that the fast path could not push. */
void vmap_free_range(struct vmap *v, uint32_t index);

#endif
