/* SPDX-License-Identifier: MIT */
/* vmap/mapped.h - guards and frames within the process's budget of mappings */
#ifndef VMAP_MAPPED_H
#define VMAP_MAPPED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vmap;

/* mem_guard() and mem_unguard() by page, in ranges of the caller's.  -ENOSPC: the guard would be a mapping
 * beyond the budget. */
int mapped_guard(struct vmap *v, uint32_t page, uint32_t n);
int mapped_unguard(struct vmap *v, uint32_t page, uint32_t n);
/* Takes the mappings that frames at @page will be; false if the budget has not so many. */
bool mapped_take_frames(struct vmap *v, uint32_t page, void *const *frames, size_t n);
/* Gives back what guards and frames on pages [page, page + n) were: they have been taken out, and unmapped. */
void mapped_forget(struct vmap *v, uint32_t page, uint32_t n);
/* The span is gone. */
void mapped_forget_all(struct vmap *v);

#endif
