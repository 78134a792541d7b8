/* SPDX-License-Identifier: MIT */
/* vmap/frames.h - ranges behind which stand frames */
#ifndef VMAP_FRAMES_H
#define VMAP_FRAMES_H

#include <stddef.h>
#include <stdint.h>

#include <quire/vmap.h>

struct quire;
struct vmap;

/* The areas of an instance that can map frames; NULL with *@error set. */
struct vmap *frames_get(struct quire *q, void *const *pages, size_t count, unsigned flags,
			int *error);
/* Addresses for frames, with a guard page or aligned to their number; RANGE_NONE. */
uint32_t frames_take(struct vmap *v, uint32_t pages, uint32_t align, enum quire_vmap_kind kind,
		     unsigned flags, int *error);
/* Maps them at @addr, in a range of frames.  Before it refuses, what holds mappings is purged, unless
 * @flags forbid to wait.  0 or -ENOMEM, with nothing mapped. */
int frames_map(struct vmap *v, void *addr, void *const *pages, size_t count, unsigned flags);
/* Gives a busy range up; the purge takes the aliases. */
void frames_give(struct vmap *v, uint32_t index);
/* A range of frames that begins at @addr, filled; what quire_vmap() returns. */
void *frames_map_area(struct vmap *v, void *const *pages, size_t count, enum quire_vmap_kind kind,
		      unsigned flags, int *error);
/* Under purge_mutex.  Returns pages. */
uint64_t frames_purge(struct vmap *v);

#endif
