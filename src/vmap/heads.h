/* SPDX-License-Identifier: MIT */
/* vmap/heads.h - finding the range that a page is in, by one bit per page where a range begins */
#ifndef VMAP_HEADS_H
#define VMAP_HEADS_H

#include <stddef.h>
#include <stdint.h>

struct vmap;

/* Six levels of 64 cover 2^36 pages, more than a page number can name. */
#define HEADS_LEVELS 6u

/* Bytes for the bits and their summaries. */
size_t heads_bytes(uint32_t span_pages);
/* Sets their address; the memory must read zero. */
void heads_place(struct vmap *v, uint64_t *words);
/* Notes that a range that is not FREE begins at @page; also in the map. */
void heads_set_locked(struct vmap *v, uint32_t page, uint32_t index);
void heads_clear_locked(struct vmap *v, uint32_t page);
/* The first head at or after @page, or RANGE_NONE. */
uint32_t heads_next_locked(struct vmap *v, uint32_t page);
/* The last head at or before @page, or RANGE_NONE. */
uint32_t heads_prev_locked(struct vmap *v, uint32_t page);

#endif
