/* SPDX-License-Identifier: MIT */
/* page/alloc.h - the allocation behind the fast path, in parts that other calls share */
#ifndef PAGE_ALLOC_H
#define PAGE_ALLOC_H

#include <stdint.h>

struct page_request;
struct pages;
struct quire;

/* A run in state CACHED, or FRAME_NONE when no attempt that the flags allow found one. */
uint32_t page_alloc_frame(struct pages *p, const struct page_request *asked);
/* Hands a cached run to its user: state, and zeroes if asked for and not known. */
void *page_finish_alloc(struct pages *p, uint32_t frame, const struct page_request *request);
/* quire_alloc_pages() for a caller that may do without: NULL with *@error, and errno as it was. */
void *page_alloc_run(struct quire *q, unsigned order, unsigned flags, int *error);
/* Acts for a CPU given by number, on its lists: replay, tests, benches. */
void *page_alloc_on(struct pages *p, unsigned slot, unsigned order, unsigned flags);
/* Makes runs of @new_order of an allocated one of @order. */
void page_split_to(struct pages *p, void *addr, unsigned order, unsigned new_order);

#endif
