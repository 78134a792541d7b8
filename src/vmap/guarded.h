/* SPDX-License-Identifier: MIT */
/* vmap/guarded.h - the pages of the span on which guards may stand */
#ifndef VMAP_GUARDED_H
#define VMAP_GUARDED_H

#include <stddef.h>
#include <stdint.h>

struct vmap;

/* Bytes of the bitmap for so many pages. */
size_t guarded_bytes(uint32_t pages);
/* To call before guards are set on pages [page, page + n). */
void guarded_note(struct vmap *v, uint32_t page, uint32_t n);
/* Removes the guards that stand on the pages: a system call for each run of them.  Returns 0, or
 * -ENOMEM; then some may be left, and they are still noted. */
int guarded_remove(struct vmap *v, uint32_t page, uint32_t n);
/* To call when all guards on the pages have been removed otherwise. */
void guarded_forget(struct vmap *v, uint32_t page, uint32_t n);

#endif
