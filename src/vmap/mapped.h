/* SPDX-License-Identifier: MIT */
/* vmap/mapped.h - guards and frames within the process's budget of mappings */
#ifndef VMAP_MAPPED_H
#define VMAP_MAPPED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vmap;

/* As mem_guard() and mem_unguard(), by page; the caller owns the ranges.  -ENOSPC if the guard
 * would be a mapping beyond the budget. */
int mapped_guard(struct vmap *v, uint32_t page, uint32_t n);
int mapped_unguard(struct vmap *v, uint32_t page, uint32_t n);
/* Takes from the budget the mappings that @frames at @page will be; false if there are not enough
 * left. */
bool mapped_take_frames(struct vmap *v, uint32_t page, void *const *frames, size_t n);
/* Returns to the budget the guards and frames on pages [page, page + n), which have been
 * removed. */
void mapped_forget(struct vmap *v, uint32_t page, uint32_t n);
/* The same for the whole span, which has been unmapped. */
void mapped_forget_all(struct vmap *v);

#endif
