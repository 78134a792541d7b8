/* SPDX-License-Identifier: MIT */
/* vmap/frames.h - ranges where frames are mapped */
#ifndef VMAP_FRAMES_H
#define VMAP_FRAMES_H

#include <stddef.h>
#include <stdint.h>

#include <quire/vmap.h>

struct quire;
struct vmap;

/* Returns the instance's areas if it can map frames, or NULL with *@error set. */
struct vmap *frames_get(struct quire *q, void *const *pages, size_t count, unsigned flags,
			int *error);
/* Takes addresses for frames, with a guard page or aligned to their number.  Returns RANGE_NONE
 * with *@error set if refused. */
uint32_t frames_take(struct vmap *v, uint32_t pages, uint32_t align, enum quire_vmap_kind kind,
		     unsigned flags, int *error);
/* Maps @pages at @addr, in a range of frames.  Before it fails, it purges everything that holds
 * mappings, unless @flags forbid waiting.  Returns 0, or -ENOMEM with nothing mapped. */
int frames_map(struct vmap *v, void *addr, void *const *pages, size_t count, unsigned flags);
/* Frees a busy range of frames; the purge unmaps its aliases. */
void frames_give(struct vmap *v, uint32_t index);
/* Takes a range and maps @pages there.  Returns its first byte, as quire_vmap() does. */
void *frames_map_area(struct vmap *v, void *const *pages, size_t count, enum quire_vmap_kind kind,
		      unsigned flags, int *error);
/* Unmaps the freed ranges of frames.  Requires purge_mutex.  Returns the number of pages. */
uint64_t frames_purge(struct vmap *v);

#endif
