/* SPDX-License-Identifier: MIT */
/* vmap/meta.h - what describes the span, made usable where areas lie */
#ifndef VMAP_META_H
#define VMAP_META_H

#include <stdbool.h>
#include <stdint.h>

struct vmap;

/* Reserves it, and says where each array is: 0 or -ENOMEM. */
int meta_reserve(struct vmap *v);
/* Can all that describes pages [first, end) be written? */
bool meta_is_ready(const struct vmap *v, uint32_t first, uint32_t end);
/* Beside whoever does the same.  0; -ENOMEM if the system refused; -EAGAIN if @flags forbid system calls. */
int meta_ready(struct vmap *v, uint32_t first, uint32_t end, unsigned flags);

#endif
