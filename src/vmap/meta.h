/* SPDX-License-Identifier: MIT */
/* vmap/meta.h - the metadata of the span, committed where areas lie */
#ifndef VMAP_META_H
#define VMAP_META_H

#include <stdbool.h>
#include <stdint.h>

struct vmap;

/* Reserves the metadata and sets the address of each array.  Returns 0 or -ENOMEM. */
int meta_reserve(struct vmap *v);
/* True if all metadata of pages [first, end) is writable. */
bool meta_is_ready(const struct vmap *v, uint32_t first, uint32_t end);
/* Makes it writable; other callers may do the same at the same time.  Returns 0, -ENOMEM if the
 * system refused, or -EAGAIN if @flags forbid system calls. */
int meta_ready(struct vmap *v, uint32_t first, uint32_t end, unsigned flags);

#endif
