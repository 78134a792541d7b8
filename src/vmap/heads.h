/* SPDX-License-Identifier: MIT */
/* vmap/heads.h - a bit for each page where a range in use begins: which range a page is in */
#ifndef VMAP_HEADS_H
#define VMAP_HEADS_H

#include <stddef.h>
#include <stdint.h>

struct vmap;

/* Six levels of 64 cover 2^36 pages: more than page numbers name. */
#define HEADS_LEVELS 6u

/* Of the bits and their summaries. */
size_t heads_bytes(uint32_t span_pages);
/* Says where they are: all zero. */
void heads_place(struct vmap *v, uint64_t *words);
/* A range that is not FREE begins at @page: also in the map by page. */
void heads_set_locked(struct vmap *v, uint32_t page, uint32_t index);
void heads_clear_locked(struct vmap *v, uint32_t page);
/* First head at or after @page; RANGE_NONE. */
uint32_t heads_next_locked(struct vmap *v, uint32_t page);
/* Last head at or before @page; RANGE_NONE. */
uint32_t heads_prev_locked(struct vmap *v, uint32_t page);

#endif
